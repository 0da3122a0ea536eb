/* Scores by the query in int8, by all tokens of a document or by those near the query:
 *
 *   1. unpack a tile of residual levels and compute their dot products with all lanes
 *   2. combine them with the centroid scores and keep each lane's best */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "scores.h"
#include "tiles.h"

/* Tokens that are scored together. */
typedef struct token_tile {
  size_t n;
  uint32_t at[MV_TILE];  /* their numbers in the document */
  const uint8_t *levels; /* [n][padded] */
  float a[MV_TILE];
  float b[MV_TILE];
  uint8_t rows[MV_TILE * 3]; /* of the table, where it has their centroids, as codes of ROW_BYTES */
} token_tile;

enum { ROW_BYTES = 3 };

/* Takes the row of the i-th token of a tile. It is loaded while the dot products are computed: the
 * table is larger than the nearest cache. */
static void take_row(const mv_table *table, size_t row, token_tile *t, size_t i) {
  mv_code_write(t->rows, i, ROW_BYTES, (uint32_t)row);
  mv_load_ahead(table->rows16 + row * table->block.lanes);
}

/* Finds the rows of a tile. */
static void find_rows(const mv_table *table, const mv_document *doc, token_tile *t) {
  for (size_t i = 0; i < t->n; i++) {
    take_row(table, mv_table_row(table, mv_code_read(doc->codes, t->at[i], doc->code_bytes)), t, i);
  }
}

/* The next tokens from token `first` on; returns the first token of the next tile. */
static size_t take_all(const mv_query *query, const mv_document *doc, size_t first, token_tile *t) {
  const mv_codec *codec = query->table.codec;
  t->n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
  for (size_t i = 0; i < t->n; i++) t->at[i] = (uint32_t)(first + i);
  t->levels = tile_levels(codec, doc, first, t->n, query->levels);
  tile_scales(codec, doc, first, t->n, t->a, t->b);
  return first + t->n;
}

/* Some tokens of a document, from one token on: near ones, whose centroid's row a partial table
 * has, or far ones. In part the floor stands for those, and their residuals are not read. */
typedef struct some_tokens {
  uint32_t at[MV_TILE + 1];
  uint32_t rows[MV_TILE + 1]; /* of near ones */
  size_t n;
  size_t next; /* the first token that was not looked at */
} some_tokens;

/* Branch-free: the branch is unpredictable. */
static void find_near(const mv_table *table, const mv_document *doc, size_t first,
                      some_tokens *near) {
  size_t n = 0;
  for (; first < doc->n_tokens && n < MV_TILE; first++) {
    const size_t row = mv_table_row(table, mv_code_read(doc->codes, first, doc->code_bytes));
    near->at[n] = (uint32_t)first;
    near->rows[n] = (uint32_t)row;
    n += row >= table->n_group_rows;
  }
  near->n = n;
  near->next = first;
}

/* The far ones whose group comes near to what the document has already. */
static void find_far(const mv_table *table, const mv_document *doc, size_t first,
                     const int16_t *limits, some_tokens *far) {
  size_t n = 0;
  while (first < doc->n_tokens && n < MV_TILE) {
    const size_t left = doc->n_tokens - first, room = MV_TILE - n;
    const size_t end = first + (left < room ? left : room);
    n += mv_kernels_get()->codes_above(doc->codes, first, end, doc->code_bytes, table->row_of,
                                       table->row_of_bytes, table->n_group_rows, table->rows16,
                                       table->block.lanes, limits, far->at + n);
    first = end;
  }
  far->n = n;
  far->next = first;
}

/* What the rows of groups must exceed, by the best of the near tokens. */
static void set_limits(const mv_table *table, const float *part, int16_t *limits) {
  const mv_block *block = &table->block;
  const float margin = mv_far_margin(table->codec);
  for (size_t l = 0; l < block->lanes; l++) limits[l] = INT16_MAX;
  for (size_t l = 0; l < block->tokens; l++) {
    if (table->unit[l] == 0.0f) continue;
    const float limit = (part[l] - margin / block->scale[l]) / table->unit[l];
    limits[l] = (int16_t)(limit > 32767.0f ? 32767.0f : limit < -32768.0f ? -32768.0f : limit);
  }
}

/* The same of some tokens. */
static void take_some(const mv_query *query, const mv_document *doc, const some_tokens *some,
                      token_tile *t) {
  const mv_codec *codec = query->table.codec;
  take_levels(codec, doc, some->at, some->n, query->levels, t->a, t->b);
  memcpy(t->at, some->at, some->n * sizeof(uint32_t));
  t->n = some->n;
  t->levels = query->levels;
}

/* Keeps each lane's best of a tile. */
static void keep_best(const mv_table *table, const token_tile *t, const int32_t *dots,
                      float *best) {
  mv_kernels_get()->maxsim(dots, t->n, table->block.lanes, t->a, t->b, t->rows, ROW_BYTES,
                           table->rows16, table->unit, best);
}

/* Keeps each lane's best of a tile by the rows of its own centroids: those of a partial table are
 * not all there. */
static void keep_best_alone(const mv_query *query, const mv_document *doc, const token_tile *t,
                            const int32_t *dots, float *best) {
  const mv_table *table = &query->table;
  int16_t rows[MV_TILE * MV_LANES_MAX], low[MV_LANES_MAX] = {0}, high[MV_LANES_MAX] = {0};
  uint8_t numbers[MV_TILE * 2], places[MV_TILE * 3];
  take_places(table->codec, doc, t->at, t->n, places);
  take_centroids(table->codec, places, t->n, query->levels);
  mv_table_score(table, query->levels, t->n, rows, low, high);
  for (uint32_t i = 0; i < t->n; i++) mv_code_write(numbers, i, 2, i);
  mv_kernels_get()->maxsim(dots, t->n, table->block.lanes, t->a, t->b, numbers, 2, rows,
                           table->unit, best);
}

/* The sum over query tokens. */
static float weighted(const mv_block *block, const float *best) {
  float score = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) score += best[l] * block->scale[l];
  return score;
}

float mv_score_fast(const mv_query *query, const mv_document *doc) {
  const mv_table *table = &query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  float best[MV_LANES_MAX];
  token_tile t;
  for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
  residual_bias(table->codec, block, bias);
  for (size_t at = 0; at < doc->n_tokens;) {
    at = take_all(query, doc, at, &t);
    if (table->kind == MV_TABLE_FULL) find_rows(table, doc, &t);
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    if (table->kind == MV_TABLE_FULL) {
      keep_best(table, &t, dots, best);
    } else {
      keep_best_alone(query, doc, &t, dots, best);
    }
  }
  return weighted(block, best);
}

/* Raises best to each lane's over the near tokens. near: the first ones. Returns their number. */
static size_t best_near(const mv_query *query, const mv_document *doc, some_tokens *near,
                        float *best) {
  const mv_table *table = &query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  size_t count = 0;
  token_tile t;
  residual_bias(table->codec, block, bias);
  for (;; find_near(table, doc, near->next, near)) {
    take_some(query, doc, near, &t);
    count += near->n;
    for (size_t i = 0; i < near->n; i++) take_row(table, near->rows[i], &t, i);
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    keep_best(table, &t, dots, best);
    if (near->next == doc->n_tokens) return count;
  }
}

float mv_score_rest(mv_query *query, const mv_document *doc, const float *part) {
  const mv_table *table = &query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  int16_t limits[MV_LANES_MAX];
  float best[MV_LANES_MAX] = {0};
  some_tokens far = {.next = 0};
  token_tile t;
  memcpy(best, part, block->tokens * sizeof(float));
  set_limits(table, part, limits);
  residual_bias(table->codec, block, bias);
  while (far.next < doc->n_tokens) {
    find_far(table, doc, far.next, limits, &far);
    take_some(query, doc, &far, &t);
    query->counts.tokens += far.n;
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    keep_best_alone(query, doc, &t, dots, best);
  }
  return weighted(block, best);
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
  some_tokens near;
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

/* The score by the near tokens of a document; the best of each query token goes to part. */
static float score_part(mv_query *query, part_step *s, float *part) {
  const mv_block *block = &query->table.block;
  float best[MV_LANES_MAX];
  for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
  query->counts.tokens += best_near(query, &s->doc, &s->near, best);
  if (part != NULL) memcpy(part, best, block->tokens * sizeof(float));
  for (size_t l = 0; l < block->tokens; l++) {
    const float floor = query->table.floor[l];
    best[l] = best[l] > floor ? best[l] : floor;
  }
  return weighted(block, best);
}

/* Three documents are under way at a time. */
void mv_score_parts(mv_query *query, const mv_segment *segments, const mv_place *places, size_t n,
                    const mv_parts *parts, float *scores) {
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
    const size_t at = now->index * query->m + table->block.first;
    float *part = now->index < parts->n ? parts->best + at : NULL;
    scores[now->index] += score_part(query, now, part);
    now->index = next_of(segments, table->codec, places, n, later->index + (later->index < n));
  }
}
