#include "query.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "../centroids/lanes.h"
#include "topk.h"

mv_status mv_query_new(mv_query **out) {
  mv_query *query = mv_alloc(1, sizeof(*query));
  if (query == NULL) return MV_ERROR_MEMORY;
  memset(query, 0, sizeof(*query));
  *out = query;
  return MV_OK;
}

size_t mv_query_bytes(const mv_query *query) {
  return query->rotated.capacity + query->plain.capacity + query->packed.capacity +
         query->scales.capacity + query->table16.capacity + query->table8.capacity +
         query->rows.capacity + query->dots.capacity + query->lanes.capacity +
         query->sums.capacity + query->documents.capacity + query->groups.capacity +
         query->present.capacity + query->found.capacity + query->order.capacity;
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
  mv_buffer_free(&query->documents);
  mv_buffer_free(&query->groups);
  mv_buffer_free(&query->present);
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

void mv_query_span(const mv_query *query, size_t index, mv_block *block) {
  block->first = index * MV_LANES_MAX;
  block->tokens = block_tokens(query->m, index);
  block->lanes = block_lanes(block->tokens);
}

/* A block in the space that the query is in. */
static void load_block(const mv_query *query, size_t index, mv_block *block) {
  mv_query_span(query, index, block);
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

mv_status mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim) {
  if (m < 1 || dim < 1 || dim > MV_MAX_DIM) return MV_ERROR_ARGUMENT;
  query->m = m;
  query->dim = dim;
  query->padded = mv_padded_dim(dim);
  query->is_rotated = 0;
  query->tables_valid = 0;
  query->groups_wanted = 0;
  size_t blocks = mv_query_blocks(query);
  if (mv_buffer_reserve(&query->rotated, m * query->padded, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->plain, m * dim, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->packed, blocks * MV_LANES_MAX, query->padded) == NULL ||
      mv_buffer_reserve(&query->scales, m, sizeof(float)) == NULL ||
      mv_buffer_reserve(&query->rows, MV_TILE, query->padded) == NULL ||
      mv_buffer_reserve(&query->dots, MV_TILE * MV_LANES_MAX, sizeof(int32_t)) == NULL) {
    return MV_ERROR_MEMORY;
  }
  memcpy(query->plain.data, vectors, m * dim * sizeof(float));
  return MV_OK;
}

mv_status mv_query_enter(mv_query *query, const mv_codec *codec) {
  if (codec->dim != query->dim) return MV_ERROR_ARGUMENT;
  if (query->is_rotated && query->seed == codec->rotation.seed) return MV_OK;
  query->tables_valid = 0;
  for (size_t i = 0; i < query->m; i++) {
    mv_rotation_apply(&codec->rotation, (const float *)query->plain.data + i * query->dim,
                      (float *)query->rotated.data + i * query->padded);
  }
  pack_tokens(query, query->rows.data);
  query->seed = codec->rotation.seed;
  query->is_rotated = 1;
  return MV_OK;
}

/* Chooses the byte scale of the coarse table: one step for all lanes, so that their bytes may be
 * added, each lane measured from its own lowest score, so that none is cut off. */
static void choose_coarse_scale(mv_query *query, const mv_block *block, const int16_t *low,
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
  for (size_t l = 0; l < block->lanes; l++) query->coarse_scale[l] = real[l] / step;
  query->coarse_step = step;
  query->coarse_offset = offset;
}

/* Marks the groups that a token wants, those whose means score best. */
static void mark_token(const int32_t *dots, size_t lanes, size_t lane, size_t n, size_t wanted,
                       uint32_t *values, uint8_t *marks) {
  int32_t low = INT32_MAX;
  for (size_t g = 0; g < n; g++) low = dots[g * lanes + lane] < low ? dots[g * lanes + lane] : low;
  size_t best = 0;
  for (size_t g = 0; g < n; g++) {
    values[g] = (uint32_t)dots[g * lanes + lane] - (uint32_t)low;
    if (values[g] > values[best]) best = g;
  }
  const uint32_t least = mv_threshold(values, n, wanted);
  for (size_t g = 0; g < n; g++) {
    if (values[g] >= least && marks[g] == MV_GROUP_ABSENT) marks[g] = MV_GROUP_PRESENT;
  }
  marks[best] = MV_GROUP_BEST;
}

/* Marks the groups wanted of a block: so many of each token, or a few more. */
static mv_status mark_groups(mv_query *query, const mv_codec *codec, const mv_block *block) {
  uint8_t *marks = query->groups.data;
  size_t n = codec->n_groups, wanted = query->groups_wanted;
  if (wanted == 0 || wanted >= n) {
    memset(marks, MV_GROUP_PRESENT, n);
    return MV_OK;
  }
  int32_t *dots = mv_alloc(n * block->lanes, sizeof(int32_t));
  uint32_t *values = mv_alloc(n, sizeof(uint32_t));
  mv_status status = dots != NULL && values != NULL ? MV_OK : MV_ERROR_MEMORY;
  memset(marks, MV_GROUP_ABSENT, n);
  if (status == MV_OK) {
    mv_kernels_get()->dot8(codec->group_rows, codec->padded, n, codec->padded, block->packed,
                           block->lanes, block->row_bias, dots);
    for (size_t l = 0; l < block->tokens; l++) {
      mark_token(dots, block->lanes, l, n, wanted, values, marks);
    }
  }
  mv_free(dots);
  mv_free(values);
  return status;
}

/* Makes room for the tables of a codec and the marks of its groups. */
static mv_status reserve_tables(mv_query *query, const mv_codec *codec, size_t lanes) {
  query->tables_valid = 0;
  query->table_codec = NULL;
  const size_t n = codec->n_centroids;
  if (mv_buffer_reserve(&query->table16, n * lanes, sizeof(int16_t)) == NULL ||
      mv_buffer_reserve(&query->table8, n * lanes, 1) == NULL ||
      mv_buffer_reserve(&query->groups, codec->n_groups, 1) == NULL ||
      mv_buffer_reserve(&query->present, n / 8 + 1, 1) == NULL) {
    return MV_ERROR_MEMORY;
  }
  query->table_codec = codec;
  return MV_OK;
}

/* Sets bits first .. last - 1. */
static void set_bits(uint8_t *bits, size_t first, size_t last) {
  for (; first < last && first % 8 != 0; first++) bits[first / 8] |= (uint8_t)(1 << first % 8);
  if (first < last) memset(bits + first / 8, 255, (last - first) / 8);
  for (first = first < last ? last - (last - first) % 8 : last; first < last; first++) {
    bits[first / 8] |= (uint8_t)(1 << first % 8);
  }
}

/* How dot products become int16: the factors of each lane. */
static void lane_factors(mv_query *query, const mv_codec *codec, const mv_block *block,
                         float *narrow) {
  float row_unit = 1.0f / mv_point_scale(codec->dim);
  for (size_t l = 0; l < block->lanes; l++) {
    /* By Cauchy-Schwarz no dot product exceeds the product of the lengths. */
    float limit = codec->row_norm * block->lengths[l];
    narrow[l] = limit > 0.0f ? 32700.0f / limit : 0.0f;
    query->unit[l] = limit > 0.0f ? row_unit * limit / 32700.0f : 0.0f;
  }
}

/* The int16 scores of rows first .. last - 1. */
static void score_rows(mv_query *query, const mv_codec *codec, const mv_block *block,
                       const float *narrow, size_t first, size_t last, int16_t *low,
                       int16_t *high) {
  const mv_kernels *kernels = mv_kernels_get();
  for (; first < last; first += MV_TILE) {
    size_t rows = last - first < MV_TILE ? last - first : MV_TILE;
    kernels->dot8(codec->rows + first * codec->padded, codec->padded, rows, codec->padded,
                  block->packed, block->lanes, block->row_bias, query->dots.data);
    kernels->narrow16(query->dots.data, rows, block->lanes, narrow,
                      (int16_t *)query->table16.data + first * block->lanes, low, high);
  }
}

/* Computes the int16 rows of the marked groups. */
static void compute_rows(mv_query *query, const mv_codec *codec, const mv_block *block,
                         int16_t *low, int16_t *high) {
  float narrow[MV_LANES_MAX] = {0};
  lane_factors(query, codec, block, narrow);
  for (size_t l = 0; l < block->lanes; l++) {
    low[l] = INT16_MAX;
    high[l] = INT16_MIN;
  }
  const uint8_t *groups = query->groups.data;
  query->all_present = 1;
  memset(query->present.data, 0, query->present.capacity);
  for (size_t g = 0; g < codec->n_groups; g++) {
    const size_t first = codec->group_starts[g], last = codec->group_starts[g + 1];
    if (groups[g] == MV_GROUP_ABSENT) {
      query->all_present = 0;
      continue;
    }
    score_rows(query, codec, block, narrow, first, last, low, high);
    set_bits(query->present.data, first, last);
  }
}

/* Makes bytes of the int16 rows that are there. */
static void narrow_rows(mv_query *query, const mv_codec *codec, const mv_block *block,
                        const int16_t *low) {
  const uint8_t *groups = query->groups.data;
  for (size_t g = 0; g < codec->n_groups; g++) {
    if (groups[g] == MV_GROUP_ABSENT) continue;
    const size_t first = codec->group_starts[g] * block->lanes;
    const size_t rows = codec->group_starts[g + 1] - codec->group_starts[g];
    mv_kernels_get()->narrow8((const int16_t *)query->table16.data + first, rows, block->lanes, low,
                              query->coarse_scale, (uint8_t *)query->table8.data + first);
  }
}

mv_status mv_query_tables(mv_query *query, const mv_codec *codec, size_t index) {
  if (query->tables_valid && query->table_codec == codec && query->table_block == index) {
    return MV_OK;
  }
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  mv_block *block = &query->block;
  load_block(query, index, block);
  status = reserve_tables(query, codec, block->lanes);
  if (status == MV_OK) status = mark_groups(query, codec, block);
  if (status != MV_OK) return status;
  int16_t low[MV_LANES_MAX], high[MV_LANES_MAX];
  compute_rows(query, codec, block, low, high);
  choose_coarse_scale(query, block, low, high);
  for (size_t l = 0; l < block->lanes; l++) {
    query->floor[l] = query->all_present ? -FLT_MAX : query->unit[l] * (float)low[l];
  }
  narrow_rows(query, codec, block, low);
  query->table_block = index;
  query->tables_valid = 1;
  return MV_OK;
}
