/* Scores by the query in sixteen bits, as two lanes of eight:
 *
 *   1. compute the products of all tokens of a document with the query in int8
 *   2. keep the tokens that contend: within the error of int8 of the best for some query token
 *   3. compute the products of these in sixteen bits, and keep the best for each query token
 *
 * The result is that of step 3 for all tokens. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../vectors/points.h"
#include "scores.h"
#include "tiles.h"

enum {
  RADIX = 254,          /* x = RADIX * high + low with both in -127..127 */
  LARGEST = 127 * RADIX /* of the sixteen-bit values */
};

/* Greatest length of a coded token that is allowed for; uncoded ones have length 1. */
#define TOKEN_LENGTH 1.25f

/* ---- the query ---- */

static void put_split(int8_t *packed, size_t width, size_t lane, size_t d, int x) {
  int high = (x + (x < 0 ? -RADIX / 2 : RADIX / 2)) / RADIX;
  int8_t *place = packed + d / 4 * 2 * width * 4 + d % 4;
  place[lane * 4] = (int8_t)high;
  place[(width + lane) * 4] = (int8_t)(x - RADIX * high);
}

/* Packs up to MV_HALF query tokens from `first` on, in the space that the query is in. */
static void load_half(const mv_query *query, const mv_codec *codec, size_t first, int8_t *packed,
                      mv_half_block *half) {
  half->first = first;
  half->packed = packed;
  half->tokens = query->m - first < MV_HALF ? query->m - first : MV_HALF;
  half->width = half->tokens <= MV_HALF / 2 ? MV_HALF / 2 : MV_HALF;
  const size_t lanes = 2 * half->width;
  memset(packed, 0, query->padded * lanes);
  for (size_t l = 0; l < half->tokens; l++) {
    const float *row = query->rotated + (first + l) * query->padded;
    float limit = mv_largest(row, query->padded);
    float inverse = limit > 0.0f ? (float)LARGEST / limit : 0.0f;
    half->unit[l] = (double)limit / LARGEST;
    for (size_t d = 0; d < query->padded; d++) {
      float x = row[d] * inverse;
      put_split(packed, half->width, l, d, (int)(x + (x < 0.0f ? -0.5f : 0.5f)));
    }
  }
  for (size_t l = 0; l < lanes; l++) {
    int32_t sum = 0;
    for (size_t d = 0; d < query->padded; d++) sum += packed[d / 4 * lanes * 4 + l * 4 + d % 4];
    half->row_bias[l] = -128 * sum;
    half->level_bias[l] = -codec->levels->zero * sum;
  }
}

/* What rounding a query token to int8 may add to one document token and take from another, in units
 * of its lane: by Cauchy-Schwarz the length of what was rounded off times that of a document token,
 * twice. The greatest of a block. */
static float greatest_margin(const mv_query *query, const mv_block *block) {
  float greatest = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) {
    const float *row = query->rotated + (block->first + l) * query->padded;
    const float inverse = block->scale[l] > 0.0f ? 1.0f / block->scale[l] : 0.0f;
    float square = 0.0f;
    for (size_t d = 0; d < query->padded; d++) {
      const int8_t kept = block->packed[d / 4 * block->lanes * 4 + l * 4 + d % 4];
      const float off = row[d] * inverse - (float)kept;
      square += off * off;
    }
    greatest = square > greatest ? square : greatest;
  }
  return 2.0f * TOKEN_LENGTH * sqrtf(greatest);
}

mv_status mv_precise_load(mv_query *query, const mv_codec *codec, size_t index,
                          mv_precise *precise) {
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  const size_t bytes = query->padded * MV_LANES_MAX;
  int8_t *packed = mv_query_reserve(query, MV_MEMORY_SCRATCH, MV_HALVES, bytes);
  if (packed == NULL) return MV_ERROR_MEMORY;
  precise->codec = codec;
  mv_query_block(query, index, &precise->block);
  precise->margin = greatest_margin(query, &precise->block);
  residual_bias(codec, &precise->block, precise->level_bias);
  precise->n_halves = 0;
  for (size_t at = 0; at < precise->block.tokens; at += MV_HALF, packed += bytes) {
    load_half(query, codec, precise->block.first + at, packed,
              &precise->halves[precise->n_halves++]);
  }
  return MV_OK;
}

/* ---- products in sixteen bits ---- */

static double joined(const int32_t *dots, size_t width, size_t lane) {
  return (double)RADIX * (double)dots[lane] + (double)dots[width + lane];
}

/* Adds to out[l] the products of one scaled set of rows: out[i][l] += scale[i] * dot. */
static void add_joined(const int32_t *dots, size_t n, const mv_half_block *half, const float *scale,
                       double factor, double *out) {
  for (size_t i = 0; i < n; i++) {
    for (size_t l = 0; l < half->tokens; l++) {
      out[i * MV_HALF + l] += factor * (double)scale[i] *
                              joined(dots + i * 2 * half->width, half->width, l) * half->unit[l];
    }
  }
}

/* Tokens of a document that are scored together. */
typedef struct token_list {
  size_t n;
  uint32_t at[MV_TILE];
} token_list;

/* The products of some tokens with a half block: out [n][MV_HALF]. */
static void products(const mv_query *query, const mv_codec *codec, const mv_half_block *half,
                     const mv_document *doc, const token_list *list, double *out) {
  float a[MV_TILE], b[MV_TILE];
  int32_t dots[MV_TILE * MV_LANES_MAX];
  uint8_t places[MV_TILE * 3];
  memset(out, 0, list->n * MV_HALF * sizeof(*out));
  take_levels(codec, doc, list->at, list->n, query->levels, a, b);
  tile_dots(codec, query->levels, list->n, half->packed, 2 * half->width, half->level_bias, dots);
  add_joined(dots, list->n, half, b, 1.0, out);
  take_places(codec, doc, list->at, list->n, places);
  take_centroids(codec, places, list->n, query->levels);
  mv_kernels_get()->dot8(query->levels, codec->padded, list->n, codec->padded, half->packed,
                         2 * half->width, half->row_bias, dots);
  add_joined(dots, list->n, half, a, 1.0 / (double)mv_point_scale(codec->dim), out);
}

/* Keeps each query token's best over some tokens. */
static void keep_best(const mv_query *query, const mv_precise *precise, const mv_document *doc,
                      const token_list *list, double best[MV_HALVES][MV_HALF]) {
  double out[MV_TILE * MV_HALF];
  for (size_t h = 0; h < precise->n_halves; h++) {
    products(query, precise->codec, &precise->halves[h], doc, list, out);
    for (size_t i = 0; i < list->n; i++) {
      for (size_t l = 0; l < MV_HALF; l++) {
        best[h][l] = out[i * MV_HALF + l] > best[h][l] ? out[i * MV_HALF + l] : best[h][l];
      }
    }
  }
}

/* ---- which tokens contend ---- */

/* Of n tokens from `first` on those that contend with the best so far, which they raise. */
static void find_contenders(const mv_query *query, const mv_precise *precise,
                            const mv_document *doc, size_t first, size_t n, float *best,
                            token_list *list) {
  const mv_codec *codec = precise->codec;
  const mv_block *block = &precise->block;
  float a[MV_TILE], b[MV_TILE];
  int32_t centroids[MV_TILE * MV_LANES_MAX], residuals[MV_TILE * MV_LANES_MAX];
  uint8_t places[MV_TILE * 3];
  const uint8_t *levels = tile_levels(codec, doc, first, n, query->levels);
  tile_scales(codec, doc, first, n, a, b);
  const float point = mv_point_scale(codec->dim);
  for (size_t i = 0; i < n; i++) a[i] /= point;
  tile_dots(codec, levels, n, block->packed, block->lanes, precise->level_bias, residuals);
  tile_places(codec, doc, first, n, places);
  take_centroids(codec, places, n, query->levels);
  mv_kernels_get()->dot8(query->levels, codec->padded, n, codec->padded, block->packed,
                         block->lanes, block->row_bias, centroids);
  list->n = mv_kernels_get()->contenders(centroids, residuals, n, block->lanes, a, b,
                                         precise->margin, best, list->at);
  for (size_t i = 0; i < list->n; i++) list->at[i] += (uint32_t)first;
}

/* Nothing contends for lanes without a query token, nor for tokens of zeros, which score zero. */
static void begin_best(const mv_precise *precise, float *best, double total[MV_HALVES][MV_HALF]) {
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    const int takes_part = l < precise->block.tokens && precise->block.scale[l] > 0.0f;
    best[l] = takes_part ? -FLT_MAX : FLT_MAX;
    total[l / MV_HALF][l % MV_HALF] = takes_part ? -DBL_MAX : 0.0;
  }
}

void mv_score_precise(const mv_query *query, const mv_precise *precise, const mv_document *doc,
                      float *score) {
  float best[MV_LANES_MAX];
  double total[MV_HALVES][MV_HALF];
  token_list waiting = {.n = 0}, next;
  begin_best(precise, best, total);
  for (size_t first = 0; first < doc->n_tokens; first += MV_TILE) {
    const size_t left = doc->n_tokens - first;
    find_contenders(query, precise, doc, first, left < MV_TILE ? left : MV_TILE, best, &next);
    if (waiting.n + next.n > MV_TILE) {
      keep_best(query, precise, doc, &waiting, total);
      waiting.n = 0;
    }
    memcpy(waiting.at + waiting.n, next.at, next.n * sizeof(uint32_t));
    waiting.n += next.n;
  }
  keep_best(query, precise, doc, &waiting, total);
  for (size_t h = 0; h < precise->n_halves; h++) {
    double sum = 0.0;
    for (size_t l = 0; l < precise->halves[h].tokens; l++) sum += total[h][l];
    *score += (float)sum;
  }
}

mv_status mv_explain_precise(mv_query *query, const mv_codec *codec, const mv_document *doc,
                             float *matrix) {
  double out[MV_TILE * MV_HALF];
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    mv_precise precise;
    const mv_status status = mv_precise_load(query, codec, index, &precise);
    if (status != MV_OK) return status;
    for (size_t first = 0; first < doc->n_tokens; first += MV_TILE) {
      const size_t left = doc->n_tokens - first;
      token_list list = {.n = left < MV_TILE ? left : MV_TILE};
      for (uint32_t i = 0; i < list.n; i++) list.at[i] = (uint32_t)first + i;
      for (size_t h = 0; h < precise.n_halves; h++) {
        const mv_half_block *half = &precise.halves[h];
        products(query, codec, half, doc, &list, out);
        for (size_t l = 0; l < half->tokens; l++) {
          float *row = matrix + (half->first + l) * doc->n_tokens + first;
          for (size_t i = 0; i < list.n; i++) row[i] = (float)out[i * MV_HALF + l];
        }
      }
    }
  }
  return MV_OK;
}
