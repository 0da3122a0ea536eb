#include "query.h"

#include <math.h>
#include <string.h>

#include "../centroids/lanes.h"

mv_status mv_query_new(mv_query **out) {
  mv_query *query = mv_alloc(1, sizeof(*query));
  if (query == NULL) return MV_ERROR_MEMORY;
  memset(query, 0, sizeof(*query));
  *out = query;
  return MV_OK;
}

void mv_query_free(mv_query *query) {
  if (query == NULL) return;
  mv_buffer_free(&query->rotated);
  mv_buffer_free(&query->plain);
  mv_buffer_free(&query->packed);
  mv_buffer_free(&query->scales);
  mv_buffer_free(&query->table16);
  mv_buffer_free(&query->table8);
  mv_buffer_free(&query->rows);
  mv_buffer_free(&query->dots);
  mv_buffer_free(&query->lanes);
  mv_buffer_free(&query->sums);
  mv_buffer_free(&query->found);
  mv_buffer_free(&query->order);
  mv_free(query);
}

static size_t block_tokens(size_t m, size_t index) {
  size_t left = m - index * MV_LANES_MAX;
  return left < MV_LANES_MAX ? left : MV_LANES_MAX;
}

static size_t block_lanes(size_t tokens) {
  return tokens <= MV_LANES_MIN ? MV_LANES_MIN : MV_LANES_MAX;
}

size_t mv_query_blocks(const mv_query *query) {
  return (query->m + MV_LANES_MAX - 1) / MV_LANES_MAX;
}

void mv_query_block(const mv_query *query, size_t index, mv_block *block) {
  block->first = index * MV_LANES_MAX;
  block->tokens = block_tokens(query->m, index);
  block->lanes = block_lanes(block->tokens);
  block->packed = (const int8_t *)query->packed.data + block->first * query->padded;
  block->scale = (const float *)query->scales.data + block->first;
  for (size_t l = 0; l < block->lanes; l++) {
    int32_t sum = 0, square = 0;
    for (size_t d = 0; d < query->padded; d++) {
      int32_t x = block->packed[d / 4 * block->lanes * 4 + l * 4 + d % 4];
      sum += x;
      square += x * x;
    }
    block->sums[l] = sum;
    block->row_bias[l] = -128 * sum;
    block->lengths[l] = sqrtf((float)square);
  }
}

int mv_query_fits(const mv_query *query, const mv_segment *segments, size_t n_segments) {
  for (size_t s = 0; s < n_segments; s++) {
    if (segments[s].dim != query->dim) return 0;
  }
  return 1;
}

int mv_codec_seen(const mv_segment *segments, size_t s) {
  for (size_t earlier = 0; earlier < s; earlier++) {
    if (segments[earlier].codec == segments[s].codec) return 1;
  }
  return 0;
}

float mv_largest(const float *x, size_t n) {
  float best = 0.0f;
  for (size_t i = 0; i < n; i++) best = fabsf(x[i]) > best ? fabsf(x[i]) : best;
  return best;
}

static void pack_tokens(mv_query *query, int8_t *point) {
  const float *rotated = query->rotated.data;
  int8_t *packed = query->packed.data;
  float *scales = query->scales.data;
  memset(packed, 0, query->packed.capacity);
  for (size_t i = 0; i < query->m; i++) {
    const float *row = rotated + i * query->padded;
    float limit = mv_largest(row, query->padded);
    float inverse = limit > 0.0f ? 127.0f / limit : 0.0f;
    for (size_t d = 0; d < query->padded; d++) point[d] = (int8_t)mv_round_int8(row[d] * inverse);
    scales[i] = limit / 127.0f;
    size_t block = i / MV_LANES_MAX;
    size_t lanes = block_lanes(block_tokens(query->m, block));
    mv_lane_put(packed + block * MV_LANES_MAX * query->padded, lanes, i % MV_LANES_MAX, point,
                query->padded);
  }
}

mv_status mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim,
                        uint64_t seed) {
  if (m < 1 || dim < 1 || dim > MV_MAX_DIM) return MV_ERROR_ARGUMENT;
  query->m = m;
  query->dim = dim;
  query->padded = mv_padded_dim(dim);
  query->tables_valid = 0;
  size_t blocks = mv_query_blocks(query);
  if (mv_buffer_reserve(&query->rotated, m * query->padded, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->plain, m * dim, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->packed, blocks * MV_LANES_MAX, query->padded) == NULL ||
      mv_buffer_reserve(&query->scales, m, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->rows, MV_TILE, query->padded) == NULL ||
      mv_buffer_reserve(&query->dots, MV_TILE * MV_LANES_MAX, sizeof(int32_t)) == NULL) {
    return MV_ERROR_MEMORY;
  }
  mv_rotation rotation;
  mv_status status = mv_rotation_init(&rotation, dim, seed);
  if (status != MV_OK) return status;
  memcpy(query->plain.data, vectors, m * dim * sizeof(float));
  for (size_t i = 0; i < m; i++) {
    mv_rotation_apply(&rotation, vectors + i * dim,
                      (float *)query->rotated.data + i * query->padded);
  }
  mv_rotation_free(&rotation);
  pack_tokens(query, query->rows.data);
  return MV_OK;
}

/* Chooses the byte scale of the coarse table: one step for all lanes, so that their bytes may be
 * added, each lane measured from its own lowest score, so that none is cut off. */
static void narrow_table(mv_query *query, const mv_block *block, size_t n, const int16_t *low,
                         const int16_t *high) {
  float real[MV_LANES_MAX] = {0}; /* real score per unit of table16 */
  float range = 0.0f, offset = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) {
    real[l] = query->unit[l] * block->scale[l];
    float width = (float)(high[l] - low[l]) * real[l];
    range = width > range ? width : range;
    offset += (float)low[l] * real[l];
  }
  float step = range > 0.0f ? range / 255.0f : 1.0f;
  float scale[MV_LANES_MAX];
  for (size_t l = 0; l < block->lanes; l++) scale[l] = real[l] / step;
  query->coarse_step = step;
  query->coarse_offset = offset;
  mv_kernels_get()->narrow8(query->table16.data, n, block->lanes, low, scale, query->table8.data);
}

mv_status mv_query_tables(mv_query *query, const mv_codec *codec, size_t index) {
  if (query->tables_valid && query->table_codec == codec && query->table_block == index) {
    return MV_OK;
  }
  const mv_kernels *kernels = mv_kernels_get();
  mv_block block;
  mv_query_block(query, index, &block);
  size_t n = codec->n_centroids;
  query->tables_valid = 0;
  int16_t *table = mv_buffer_reserve(&query->table16, n * block.lanes, sizeof(int16_t));
  uint8_t *bytes = mv_buffer_reserve(&query->table8, n * block.lanes, 1);
  if (table == NULL || bytes == NULL) return MV_ERROR_MEMORY;
  float row_unit = 1.0f / mv_point_scale(codec->dim);
  float narrow[MV_LANES_MAX] = {0};
  int16_t low[MV_LANES_MAX], high[MV_LANES_MAX];
  for (size_t l = 0; l < block.lanes; l++) {
    /* By Cauchy-Schwarz no dot product exceeds the product of the lengths. */
    float limit = codec->row_norm * block.lengths[l];
    narrow[l] = limit > 0.0f ? 32700.0f / limit : 0.0f;
    query->unit[l] = limit > 0.0f ? row_unit * limit / 32700.0f : 0.0f;
    low[l] = INT16_MAX;
    high[l] = INT16_MIN;
  }
  for (size_t first = 0; first < n; first += MV_TILE) {
    size_t rows = n - first < MV_TILE ? n - first : MV_TILE;
    kernels->dot8(codec->rows + first * codec->padded, codec->padded, rows, codec->padded,
                  block.packed, block.lanes, block.row_bias, query->dots.data);
    kernels->narrow16(query->dots.data, rows, block.lanes, narrow, table + first * block.lanes, low,
                      high);
  }
  narrow_table(query, &block, n, low, high);
  query->table_codec = codec;
  query->table_block = index;
  query->tables_valid = 1;
  return MV_OK;
}
