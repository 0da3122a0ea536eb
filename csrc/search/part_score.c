/* Scores in part: by the near tokens of documents alone, those whose centroid's row a partial table
 * has. The floor stands for the far ones, whose residuals are not read. Near tokens of several
 * documents are scored together, as batches:
 *
 *   1. find the near tokens of the next batch and start loading their residuals
 *   2. of the batch before, unpack the residual levels and compute their products with all lanes
 *   3. combine these with the centroid scores and keep each lane's best, document by document */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "scores.h"
#include "tiles.h"

enum {
  PIECES = 16, /* documents of a batch */
  AHEAD = 4    /* documents whose codes are loaded, or being loaded */
};

/* Near tokens of one document in a batch. */
typedef struct piece {
  size_t place; /* the document's */
  size_t end;   /* behind its last token in the batch */
  int is_last;  /* of the document */
} piece;

typedef struct near_batch {
  size_t n; /* tokens */
  const uint8_t *packed[MV_TILE];
  uint32_t rows[MV_TILE + 1]; /* of the table */
  float a[MV_TILE];
  float b[MV_TILE];
  size_t n_pieces;
  piece pieces[PIECES];
} near_batch;

/* A document on its way to the batches. */
typedef struct step {
  size_t place; /* n: none */
  mv_document doc;
} step;

/* The documents that are not yet in a batch. */
typedef struct walk {
  const mv_segment *segments;
  const mv_place *places;
  size_t n;
  step steps[AHEAD]; /* turn % AHEAD: the next one to look at, then those behind it */
  size_t turn;
  size_t token; /* of the next one, the first that was not looked at */
  size_t place; /* the next one to load */
} walk;

/* Starts loading the codes of the next document of the table's codec, and its scales. */
static void load_codes(const mv_table *table, walk *w, step *s) {
  while (w->place < w->n && w->segments[w->places[w->place].segment].codec != table->codec)
    w->place++;
  s->place = w->place;
  if (s->place == w->n) return;
  const mv_place *place = &w->places[w->place++];
  s->doc = mv_document_find(&w->segments[place->segment], place->document);
  mv_load_range_ahead(s->doc.codes, s->doc.n_tokens * s->doc.code_bytes);
  mv_load_range_ahead(s->doc.record, 2 * s->doc.n_tokens);
}

/* Adds the near tokens of a document from `first` on to a batch, as many as it has room for;
 * returns the first token that was not looked at. */
static size_t add_near(const mv_table *table, const mv_document *doc, size_t first,
                       near_batch *batch) {
  const mv_codec *codec = table->codec;
  uint32_t at[MV_TILE + 1];
  const size_t before = batch->n;
  size_t n = before;
  for (; first < doc->n_tokens && n < MV_TILE; first++) {
    /* Branch-free: the branch is unpredictable. */
    const size_t row = mv_table_row(table, mv_code_read(doc->codes, first, doc->code_bytes));
    at[n] = (uint32_t)first;
    batch->rows[n] = (uint32_t)row;
    n += row >= table->n_group_rows;
  }
  for (size_t i = before; i < n; i++) {
    batch->packed[i] = residual_of(codec, doc, at[i]);
    mv_load_range_early(batch->packed[i], codec->packed_bytes);
    tile_scales(codec, doc, at[i], 1, &batch->a[i], &batch->b[i]);
  }
  batch->n = n;
  return first;
}

/* The next batch; without pieces if there is none. */
static void fill(const mv_table *table, walk *w, near_batch *batch) {
  batch->n = batch->n_pieces = 0;
  for (step *s = &w->steps[w->turn % AHEAD];
       s->place < w->n && batch->n < MV_TILE && batch->n_pieces < PIECES;
       s = &w->steps[w->turn % AHEAD]) {
    w->token = add_near(table, &s->doc, w->token, batch);
    const int is_last = w->token == s->doc.n_tokens;
    batch->pieces[batch->n_pieces++] = (piece){s->place, batch->n, is_last};
    if (!is_last) continue;
    w->token = 0;
    w->turn++;
    load_codes(table, w, s);
  }
}

/* The dot products of a batch's residuals, and its rows as codes of ROW_BYTES. */
static void multiply(const mv_query *query, const near_batch *batch, const int32_t *bias,
                     uint8_t *rows, int32_t *dots) {
  const mv_table *table = query->table;
  const mv_block *block = &table->block;
  unpack_levels(table->codec, batch->packed, batch->n, query->levels);
  for (size_t i = 0; i < batch->n; i++) take_row(table, batch->rows[i], rows, i);
  tile_dots(table->codec, query->levels, batch->n, block->packed, block->lanes, bias, dots);
}

/* The score of a document by each lane's best, which goes to part. */
static float score_of(const mv_table *table, const float *best, float *part) {
  const mv_block *block = &table->block;
  float raised[MV_LANES_MAX];
  if (part != NULL) memcpy(part, best, block->tokens * sizeof(float));
  for (size_t l = 0; l < block->tokens; l++) {
    raised[l] = best[l] > table->floor[l] ? best[l] : table->floor[l];
  }
  return weighted_sum(block, raised);
}

void mv_score_parts(mv_query *query, const mv_segment *segments, const mv_place *places, size_t n,
                    const mv_parts *parts, float *scores) {
  const mv_table *table = query->table;
  const mv_block *block = &table->block;
  walk w = {.segments = segments, .places = places, .n = n};
  near_batch batches[2];
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  uint8_t rows[MV_TILE * ROW_BYTES];
  float best[MV_LANES_MAX];
  residual_bias(table->codec, block, bias);
  for (size_t i = 0; i < AHEAD; i++) load_codes(table, &w, &w.steps[i]);
  for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
  fill(table, &w, &batches[0]);
  for (size_t turn = 0; batches[turn % 2].n_pieces > 0; turn++) {
    const near_batch *batch = &batches[turn % 2];
    fill(table, &w, &batches[(turn + 1) % 2]);
    multiply(query, batch, bias, rows, dots);
    query->counts.tokens += batch->n;
    for (size_t i = 0, at = 0; i < batch->n_pieces; at = batch->pieces[i++].end) {
      const piece *p = &batch->pieces[i];
      mv_kernels_get()->maxsim(dots + at * block->lanes, p->end - at, block->lanes, batch->a + at,
                               batch->b + at, rows + at * ROW_BYTES, ROW_BYTES, table->rows16,
                               table->unit, best);
      if (!p->is_last) continue;
      const size_t column = p->place * query->m + block->first;
      scores[p->place] += score_of(table, best, p->place < parts->n ? parts->best + column : NULL);
      for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
    }
  }
}
