/* Scores by the query in int8, by all tokens of a document, or by its far ones after a score in
 * part:
 *
 *   1. unpack a tile of residual levels and compute their dot products with all lanes
 *   2. combine them with the centroid scores and keep each lane's best */
#include <float.h>
#include <string.h>

#include "scores.h"
#include "tiles.h"

/* Tokens that are scored together. */
typedef struct token_tile {
  size_t n;
  uint32_t at[MV_TILE];  /* their numbers in the document */
  const uint8_t *levels; /* [n][padded] */
  float a[MV_TILE];
  float b[MV_TILE];
  uint8_t rows[MV_TILE * ROW_BYTES]; /* of a full table */
} token_tile;

/* Finds the rows of a tile. */
static void find_rows(const mv_table *table, const mv_document *doc, token_tile *t) {
  for (size_t i = 0; i < t->n; i++) {
    const size_t code = mv_code_read(doc->codes, t->at[i], doc->code_bytes);
    take_row(table, mv_table_row(table, code), t->rows, i);
  }
}

/* The next tokens from token `first` on; returns the first token of the next tile. */
static size_t take_all(const mv_query *query, const mv_document *doc, size_t first, token_tile *t) {
  const mv_codec *codec = query->table->codec;
  t->n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
  for (size_t i = 0; i < t->n; i++) t->at[i] = (uint32_t)(first + i);
  t->levels = tile_levels(codec, doc, first, t->n, query->levels);
  tile_scales(codec, doc, first, t->n, t->a, t->b);
  return first + t->n;
}

/* Far tokens of a document, from one token on, whose centroid's row a partial table lacks. */
typedef struct far_tokens {
  uint32_t at[MV_TILE];
  size_t n;
  size_t next; /* the first token that was not looked at */
} far_tokens;

/* The far tokens whose group comes near to what the document has already. */
static void find_far(const mv_table *table, const mv_document *doc, size_t first,
                     const int16_t *limits, far_tokens *far) {
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

static void take_far(const mv_query *query, const mv_document *doc, const far_tokens *far,
                     token_tile *t) {
  const mv_codec *codec = query->table->codec;
  take_levels(codec, doc, far->at, far->n, query->levels, t->a, t->b);
  memcpy(t->at, far->at, far->n * sizeof(uint32_t));
  t->n = far->n;
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
  const mv_table *table = query->table;
  int16_t rows[MV_TILE * MV_LANES_MAX], low[MV_LANES_MAX] = {0}, high[MV_LANES_MAX] = {0};
  uint8_t numbers[MV_TILE * 2], places[MV_TILE * 3];
  take_places(table->codec, doc, t->at, t->n, places);
  take_centroids(table->codec, places, t->n, query->levels);
  mv_table_score(table, query->levels, t->n, rows, low, high);
  for (uint32_t i = 0; i < t->n; i++) mv_code_write(numbers, i, 2, i);
  mv_kernels_get()->maxsim(dots, t->n, table->block.lanes, t->a, t->b, numbers, 2, rows,
                           table->unit, best);
}

float mv_score_fast(const mv_query *query, const mv_document *doc) {
  const mv_table *table = query->table;
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
  return weighted_sum(block, best);
}

float mv_score_rest(mv_query *query, const mv_document *doc, const float *part) {
  const mv_table *table = query->table;
  const mv_block *block = &table->block;
  int32_t dots[MV_TILE * MV_LANES_MAX], bias[MV_LANES_MAX];
  int16_t limits[MV_LANES_MAX];
  float best[MV_LANES_MAX] = {0};
  far_tokens far = {.next = 0};
  token_tile t;
  memcpy(best, part, block->tokens * sizeof(float));
  set_limits(table, part, limits);
  residual_bias(table->codec, block, bias);
  while (far.next < doc->n_tokens) {
    find_far(table, doc, far.next, limits, &far);
    take_far(query, doc, &far, &t);
    query->counts.tokens += far.n;
    tile_dots(table->codec, t.levels, t.n, block->packed, block->lanes, bias, dots);
    keep_best_alone(query, doc, &t, dots, best);
  }
  return weighted_sum(block, best);
}
