/* Scores by the query in int8, by all tokens of a document or by those near the query:
 *
 *   1. unpack a tile of residual levels and compute their dot products with all lanes
 *   2. combine them with the centroid scores and keep each lane's best */
#include <float.h>

#include "../base/ahead.h"
#include "scores.h"
#include "tiles.h"

/* Tokens that are scored together. */
typedef struct token_tile {
  size_t n;
  const uint8_t *levels; /* [n][padded] */
  const uint8_t *codes;  /* [n][code_bytes] */
  float a[MV_TILE];
  float b[MV_TILE];
  uint8_t own_codes[MV_TILE * 3];
} token_tile;

/* The table is larger than the caches: its rows are loaded while the dot products are computed. */
static void load_table_ahead(const mv_table *table, const token_tile *t, size_t code_bytes) {
  for (size_t i = 0; i < t->n; i++) {
    mv_load_ahead(table->rows16 + mv_code_read(t->codes, i, code_bytes) * table->block.lanes);
  }
}

/* The next tokens from token `first` on; returns the first token of the next tile. */
static size_t take_all(const mv_query *query, const mv_document *doc, size_t first, token_tile *t) {
  const mv_codec *codec = query->table.codec;
  t->n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
  t->codes = doc->codes + first * doc->code_bytes;
  t->levels = tile_levels(codec, doc, first, t->n, query->levels);
  tile_scales(codec, doc, first, t->n, t->a, t->b);
  return first + t->n;
}

/* Tokens of a document whose centroid's row a partial table has, from one token on. The others are
 * far from most of the query: the floor stands for them, and their residuals are not read. */
typedef struct near_tokens {
  uint32_t at[MV_TILE + 1];
  size_t n;
  size_t next; /* the first token that was not looked at */
} near_tokens;

/* Branch-free: the branch is unpredictable. */
static void find_near(const mv_table *table, const mv_document *doc, size_t first,
                      near_tokens *near) {
  size_t n = 0;
  for (; first < doc->n_tokens && n < MV_TILE; first++) {
    near->at[n] = (uint32_t)first;
    n += mv_is_present(table, mv_code_read(doc->codes, first, doc->code_bytes));
  }
  near->n = n;
  near->next = first;
}

/* The same of near tokens. */
static void take_near(const mv_query *query, const mv_document *doc, const near_tokens *near,
                      token_tile *t) {
  const mv_codec *codec = query->table.codec;
  const size_t bytes = codec->packed_bytes;
  uint8_t *rows = codec->bits == 8 ? query->levels : query->levels + MV_TILE * codec->padded;
  for (size_t i = 0; i < near->n; i++) {
    const size_t at = near->at[i], code = mv_code_read(doc->codes, at, doc->code_bytes);
    memcpy(rows + i * bytes, residual_of(codec, doc, at), bytes);
    mv_code_write(t->own_codes, i, doc->code_bytes, (uint32_t)code);
    tile_scales(codec, doc, at, 1, &t->a[i], &t->b[i]);
  }
  if (codec->bits != 8) {
    mv_kernels_get()->unpack(rows, near->n, codec->padded, codec->bits, codec->levels->bytes,
                             query->levels);
  }
  t->n = near->n;
  t->codes = t->own_codes;
  t->levels = query->levels;
}

/* Keeps each lane's best of a tile. */
static void keep_best(const mv_table *table, const token_tile *t, size_t code_bytes,
                      const int32_t *dots, float *best) {
  mv_kernels_get()->maxsim(dots, t->n, table->block.lanes, t->a, t->b, t->codes, code_bytes,
                           table->rows16, table->unit, best);
}

/* Keeps each lane's best of a tile by the rows of its own centroids: those of a partial table are
 * not all there. */
static void keep_best_alone(const mv_query *query, const token_tile *t, size_t code_bytes,
                            const int32_t *dots, float *best) {
  const mv_table *table = &query->table;
  int16_t rows[MV_TILE * MV_LANES_MAX], low[MV_LANES_MAX] = {0}, high[MV_LANES_MAX] = {0};
  uint8_t numbers[MV_TILE * 2];
  take_centroids(table->codec, t->codes, code_bytes, t->n, query->levels);
  mv_table_score(table, query->levels, t->n, rows, low, high);
  for (uint32_t i = 0; i < t->n; i++) mv_code_write(numbers, i, 2, i);
  mv_kernels_get()->maxsim(dots, t->n, table->block.lanes, t->a, t->b, numbers, 2, rows,
                           table->unit, best);
}

/* Dot products of residuals are measured from the levels' zero. */
static void residual_bias(const mv_table *table, int32_t *bias) {
  for (size_t l = 0; l < table->block.lanes; l++) {
    bias[l] = -table->codec->levels->zero * table->block.sums[l];
  }
}

float mv_score_fast(const mv_query *query, const mv_document *doc) {
  const mv_table *table = &query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  float best[MV_LANES_MAX], score = 0.0f;
  token_tile t;
  for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
  residual_bias(table, bias);
  for (size_t at = 0; at < doc->n_tokens;) {
    at = take_all(query, doc, at, &t);
    if (table->kind == MV_TABLE_FULL) load_table_ahead(table, &t, doc->code_bytes);
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    if (table->kind == MV_TABLE_FULL) {
      keep_best(table, &t, doc->code_bytes, dots, best);
    } else {
      keep_best_alone(query, &t, doc->code_bytes, dots, best);
    }
  }
  for (size_t l = 0; l < block->tokens; l++) score += best[l] * block->scale[l];
  return score;
}

/* near: the first ones of the document. tokens: raised by their number. */
static float score_part(const mv_query *query, const mv_document *doc, near_tokens *near,
                        uint64_t *tokens) {
  const mv_table *table = &query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  float best[MV_LANES_MAX], score = 0.0f;
  token_tile t;
  for (size_t l = 0; l < block->lanes; l++) best[l] = table->floor[l];
  residual_bias(table, bias);
  for (;; find_near(table, doc, near->next, near)) {
    take_near(query, doc, near, &t);
    *tokens += near->n;
    load_table_ahead(table, &t, doc->code_bytes);
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    keep_best(table, &t, doc->code_bytes, dots, best);
    if (near->next == doc->n_tokens) break;
  }
  for (size_t l = 0; l < block->tokens; l++) score += best[l] * block->scale[l];
  return score;
}

/* The first of the places from `at` on whose segment has a codec; n if there is none. */
static size_t next_of(const mv_segment *segments, const mv_codec *codec, const mv_place *places,
                      size_t n, size_t at) {
  while (at < n && segments[places[at].segment].codec != codec) at++;
  return at;
}

/* A document on its way: its codes are loaded first, then its near tokens. */
typedef struct part_step {
  size_t index; /* of its place; n: none */
  mv_document doc;
  near_tokens near;
} part_step;

static void load_codes(const mv_segment *segments, const mv_place *places, size_t n, part_step *s) {
  if (s->index >= n) return;
  s->doc = mv_document_find(&segments[places[s->index].segment], places[s->index].document);
  mv_load_range_ahead(s->doc.codes, s->doc.n_tokens * s->doc.code_bytes);
  mv_load_range_ahead(s->doc.record, 2 * s->doc.n_tokens);
}

static void load_near(const mv_table *table, size_t n, part_step *s) {
  if (s->index >= n) return;
  find_near(table, &s->doc, 0, &s->near);
  for (size_t i = 0; i < s->near.n; i++) {
    mv_load_range_ahead(residual_of(table->codec, &s->doc, s->near.at[i]),
                        table->codec->packed_bytes);
  }
}

/* Three documents are under way at a time. */
void mv_score_parts(mv_query *query, const mv_segment *segments, const mv_place *places, size_t n,
                    float *scores) {
  const mv_table *table = &query->table;
  part_step steps[3];
  for (size_t i = 0, at = 0; i < 3; i++, at++) {
    steps[i].index = at = next_of(segments, table->codec, places, n, at);
    if (i < 2) load_codes(segments, places, n, &steps[i]);
  }
  load_near(table, n, &steps[0]);
  for (size_t turn = 0; steps[turn % 3].index < n; turn++) {
    part_step *now = &steps[turn % 3], *later = &steps[(turn + 2) % 3];
    load_codes(segments, places, n, later);
    load_near(table, n, &steps[(turn + 1) % 3]);
    scores[now->index] += score_part(query, &now->doc, &now->near, &query->counts.tokens);
    now->index = next_of(segments, table->codec, places, n, later->index + (later->index < n));
  }
}
