#include "query.h"

#include <math.h>
#include <string.h>

#include "../kernels/kernels.h"
#include "../ranking/topk.h"

enum { LARGE_CODEC = 1 << 13 /* centroids from which on tables may be partial */ };

mv_status mv_query_new(mv_query **out) {
  mv_query *query = mv_alloc(1, sizeof(*query));
  if (query == NULL) return MV_ERROR_MEMORY;
  memset(query, 0, sizeof(*query));
  query->table = query->tables;
  *out = query;
  return MV_OK;
}

void *mv_query_reserve(mv_query *query, int memory, size_t count, size_t size) {
  return mv_buffer_reserve(&query->memory[memory], count, size);
}

size_t mv_query_bytes(const mv_query *query) {
  size_t bytes = 0;
  for (int i = 0; i < MV_MEMORY_ALL; i++) bytes += query->memory[i].capacity;
  return bytes;
}

void mv_query_free(mv_query *query) {
  if (query == NULL) return;
  for (int i = 0; i < MV_MEMORY_ALL; i++) mv_buffer_free(&query->memory[i]);
  mv_free(query);
}

size_t mv_query_blocks(const mv_query *query) {
  return (query->m + MV_LANES_MAX - 1) / MV_LANES_MAX;
}

static void forget_tables(mv_query *query) {
  for (size_t i = 0; i < MV_TABLES; i++) query->tables[i].kind = MV_TABLE_NONE;
}

void mv_query_span(const mv_query *query, size_t index, mv_block *block) {
  block->first = index * MV_LANES_MAX;
  const size_t left = query->m - block->first;
  block->tokens = left < MV_LANES_MAX ? left : MV_LANES_MAX;
  block->lanes = mv_lanes_for(block->tokens);
}

void mv_query_block(const mv_query *query, size_t index, mv_block *block) {
  mv_query_span(query, index, block);
  block->packed = query->packed + block->first * query->padded;
  block->scale = query->scales + block->first;
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

void mv_query_near_groups(mv_query *query, size_t n) {
  if (n != query->groups_wanted) forget_tables(query);
  query->groups_wanted = n;
}

mv_counts mv_query_counts(const mv_query *query) { return query->counts; }

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
  memset(query->packed, 0, query->memory[MV_MEMORY_PACKED].capacity);
  for (size_t i = 0; i < query->m; i++) {
    const float *row = query->rotated + i * query->padded;
    float limit = mv_largest(row, query->padded);
    float inverse = limit > 0.0f ? 127.0f / limit : 0.0f;
    mv_kernels_get()->round_bytes(row, query->padded, inverse, point);
    query->scales[i] = limit / 127.0f;
    mv_block block;
    mv_query_span(query, i / MV_LANES_MAX, &block);
    int8_t *lane = query->packed + block.first * query->padded + (i - block.first) * 4;
    for (size_t d = 0; d < query->padded; d += 4) memcpy(lane + d * block.lanes, point + d, 4);
  }
}

mv_status mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim) {
  if (m < 1 || dim < 1 || dim > MV_MAX_DIM) return MV_ERROR_ARGUMENT;
  query->m = m;
  query->dim = dim;
  query->padded = mv_padded_dim(dim);
  query->is_rotated = 0;
  forget_tables(query);
  query->large = LARGE_CODEC;
  query->groups_wanted = 0;
  query->counts = (mv_counts){0, 0};
  const size_t packed = mv_query_blocks(query) * MV_LANES_MAX;
  query->plain = mv_query_reserve(query, MV_MEMORY_PLAIN, m * dim, sizeof(float));
  query->rotated = mv_query_reserve(query, MV_MEMORY_ROTATED, m * query->padded, sizeof(float));
  query->packed = mv_query_reserve(query, MV_MEMORY_PACKED, packed, query->padded);
  query->scales = mv_query_reserve(query, MV_MEMORY_SCALES, m, sizeof(float));
  query->levels = mv_query_reserve(query, MV_MEMORY_LEVELS, MV_TILE, query->padded);
  if (query->plain == NULL || query->rotated == NULL || query->packed == NULL ||
      query->scales == NULL || query->levels == NULL)
    return MV_ERROR_MEMORY;
  memcpy(query->plain, vectors, m * dim * sizeof(float));
  return MV_OK;
}

mv_status mv_query_order(mv_query *query, mv_place *places, float *scores, size_t n) {
  uint64_t *scratch = mv_query_reserve(query, MV_MEMORY_SCRATCH, 2 * n, sizeof(uint64_t));
  if (scratch == NULL) return MV_ERROR_MEMORY;
  mv_topk_order(places, scores, n, scratch);
  return MV_OK;
}

mv_status mv_query_enter(mv_query *query, const mv_codec *codec) {
  if (codec->dim != query->dim) return MV_ERROR_ARGUMENT;
  if (query->is_rotated && query->seed == codec->rotation.seed) return MV_OK;
  forget_tables(query);
  for (size_t i = 0; i < query->m; i++) {
    mv_rotation_apply(&codec->rotation, query->plain + i * query->dim,
                      query->rotated + i * query->padded);
  }
  pack_tokens(query, (int8_t *)query->levels);
  query->seed = codec->rotation.seed;
  query->is_rotated = 1;
  return MV_OK;
}
