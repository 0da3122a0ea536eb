/* The table of a block and a codec:
 *
 *   1. mark the groups whose rows are computed: all, or the `groups_wanted` nearest to each token
 *   2. compute the int16 rows of the marked groups, and each lane's extremes
 *   3. choose one byte scale for all lanes from the extremes
 *   4. narrow the int16 rows to bytes */
#include <float.h>
#include <string.h>

#include "../ranking/topk.h"
#include "../vectors/points.h"
#include "query.h"

/* Marks the `wanted` groups whose means score best with a token, and groups about as good. */
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

/* Marks at least `wanted` groups for each token of the block. */
static mv_status mark_groups(mv_table *table, size_t wanted) {
  const mv_centroids *centroids = &table->codec->centroids;
  const mv_block *block = &table->block;
  const size_t n = centroids->n_groups;
  int32_t *dots = mv_alloc(n * block->lanes, sizeof(int32_t));
  uint32_t *values = mv_alloc(n, sizeof(uint32_t));
  const mv_status status = dots != NULL && values != NULL ? MV_OK : MV_ERROR_MEMORY;
  memset(table->groups, MV_GROUP_ABSENT, n);
  if (status == MV_OK) {
    mv_kernels_get()->dot8(centroids->group_rows, centroids->padded, n, centroids->padded,
                           block->packed, block->lanes, block->row_bias, dots);
    for (size_t l = 0; l < block->tokens; l++) {
      mark_token(dots, block->lanes, l, n, wanted, values, table->groups);
    }
  }
  mv_free(dots);
  mv_free(values);
  return status;
}

static mv_status reserve(mv_query *query, const mv_centroids *centroids, size_t lanes) {
  mv_table *table = &query->table;
  const size_t n = centroids->n;
  table->rows16 = mv_query_reserve(query, MV_MEMORY_ROWS16, n * lanes, sizeof(int16_t));
  table->rows8 = mv_query_reserve(query, MV_MEMORY_ROWS8, n * lanes, 1);
  table->groups = mv_query_reserve(query, MV_MEMORY_GROUPS, centroids->n_groups, 1);
  table->present = mv_query_reserve(query, MV_MEMORY_PRESENT, n / 8 + 1, 1);
  if (table->rows16 == NULL || table->rows8 == NULL || table->groups == NULL ||
      table->present == NULL)
    return MV_ERROR_MEMORY;
  memset(table->present, 0, n / 8 + 1);
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

/* The factors of each lane from dot products to int16. */
static void choose_units(mv_table *table) {
  float row_unit = 1.0f / mv_point_scale(table->codec->dim);
  for (size_t l = 0; l < table->block.lanes; l++) {
    /* By Cauchy-Schwarz no dot product exceeds the product of the lengths. */
    float limit = table->codec->centroids.row_norm * table->block.lengths[l];
    table->narrow[l] = limit > 0.0f ? 32700.0f / limit : 0.0f;
    table->unit[l] = limit > 0.0f ? row_unit * limit / 32700.0f : 0.0f;
  }
}

void mv_table_score(const mv_table *table, const uint8_t *rows, size_t n, int16_t *out,
                    int16_t *low, int16_t *high) {
  const mv_kernels *kernels = mv_kernels_get();
  const mv_block *block = &table->block;
  const size_t padded = table->codec->padded;
  int32_t dots[MV_TILE * MV_LANES_MAX];
  kernels->dot8(rows, padded, n, padded, block->packed, block->lanes, block->row_bias, dots);
  kernels->narrow16(dots, n, block->lanes, table->narrow, out, low, high);
}

/* The int16 scores of rows first .. last - 1. */
static void score_rows(mv_table *table, size_t first, size_t last, int16_t *low, int16_t *high) {
  const mv_centroids *centroids = &table->codec->centroids;
  for (; first < last; first += MV_TILE) {
    const size_t n = last - first < MV_TILE ? last - first : MV_TILE;
    mv_table_score(table, centroids->rows + first * centroids->padded, n,
                   table->rows16 + first * table->block.lanes, low, high);
  }
}

/* Computes the int16 rows of the marked groups; their number. */
static size_t compute_rows(mv_table *table, int16_t *low, int16_t *high) {
  const mv_centroids *centroids = &table->codec->centroids;
  choose_units(table);
  for (size_t l = 0; l < table->block.lanes; l++) {
    low[l] = INT16_MAX;
    high[l] = INT16_MIN;
  }
  size_t computed = 0;
  for (size_t g = 0; g < centroids->n_groups; g++) {
    const size_t first = centroids->group_starts[g], last = centroids->group_starts[g + 1];
    if (table->groups[g] == MV_GROUP_ABSENT) {
      table->kind = MV_TABLE_PARTIAL;
      continue;
    }
    score_rows(table, first, last, low, high);
    set_bits(table->present, first, last);
    computed += last - first;
  }
  return computed;
}

/* Chooses the byte scale: one step for all lanes, so that their bytes may be added, each lane
 * measured from its own lowest score, so that no score is cut off. */
static void choose_coarse_scale(mv_table *table, const int16_t *low, const int16_t *high) {
  const mv_block *block = &table->block;
  float real[MV_LANES_MAX] = {0}; /* real score per unit of rows16 */
  float range = 0.0f, offset = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) {
    real[l] = table->unit[l] * block->scale[l];
    float width = (float)(high[l] - low[l]) * real[l];
    range = width > range ? width : range;
    offset += (float)low[l] * real[l];
  }
  table->coarse_step = range > 0.0f ? range / 255.0f : 1.0f;
  table->coarse_offset = offset;
  for (size_t l = 0; l < block->lanes; l++) {
    table->coarse_scale[l] = real[l] / table->coarse_step;
    table->floor[l] = table->kind == MV_TABLE_PARTIAL ? table->unit[l] * (float)low[l] : -FLT_MAX;
  }
}

/* Narrows the int16 rows of the marked groups to bytes. */
static void narrow_rows(mv_table *table, const int16_t *low) {
  const mv_centroids *centroids = &table->codec->centroids;
  const size_t lanes = table->block.lanes;
  for (size_t g = 0; g < centroids->n_groups; g++) {
    if (table->groups[g] == MV_GROUP_ABSENT) continue;
    const size_t first = centroids->group_starts[g] * lanes;
    const size_t rows = centroids->group_starts[g + 1] - centroids->group_starts[g];
    mv_kernels_get()->narrow8(table->rows16 + first, rows, lanes, low, table->coarse_scale,
                              table->rows8 + first);
  }
}

mv_status mv_table_make(mv_query *query, const mv_codec *codec, size_t index) {
  mv_table *table = &query->table;
  if (table->kind != MV_TABLE_NONE && table->codec == codec && table->index == index) return MV_OK;
  table->kind = MV_TABLE_NONE;
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  table->codec = codec;
  table->index = index;
  mv_query_block(query, index, &table->block);
  status = reserve(query, &codec->centroids, table->block.lanes);
  if (status != MV_OK) return status;
  const size_t wanted = codec->centroids.n >= query->large ? query->groups_wanted : 0;
  if (wanted > 0 && wanted < codec->centroids.n_groups) {
    status = mark_groups(table, wanted);
    if (status != MV_OK) return status;
  } else {
    memset(table->groups, MV_GROUP_PRESENT, codec->centroids.n_groups);
  }
  table->kind = MV_TABLE_FULL; /* until a group is found absent */
  int16_t low[MV_LANES_MAX], high[MV_LANES_MAX];
  query->counts.centroids += compute_rows(table, low, high);
  choose_coarse_scale(table, low, high);
  narrow_rows(table, low);
  return MV_OK;
}
