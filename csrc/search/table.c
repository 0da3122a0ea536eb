/* The table of a block and a codec:
 *
 *   1. mark the groups whose rows are computed: all, or the `groups_wanted` nearest to each token,
 *      by the rows of all groups, which stay in the table
 *   2. compute the int16 rows of the marked groups, and each lane's extremes
 *   3. choose one byte scale for all lanes from the extremes
 *   4. narrow the int16 rows to bytes
 *
 * Every stage goes through all blocks. The tables of the first blocks are kept, and the last of
 * these places is that of all further blocks. */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "../vectors/points.h"
#include "best_rows.h"
#include "query.h"

/* Room in a buffer of the query's present table. */
static void *reserve(mv_query *query, int buffer, size_t count, size_t size) {
  const int first = MV_TABLE_BUFFERS * (int)(query->table - query->tables);
  return mv_query_reserve(query, MV_MEMORY_TABLES + first + buffer, count, size);
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

/* Marks the `wanted` groups whose means score best with each token of the block.
 * rows [n_groups][lanes]: the scores of all. */
static mv_status mark_groups(mv_table *table, size_t wanted, int16_t *rows) {
  const mv_centroids *centroids = &table->codec->centroids;
  const mv_block *block = &table->block;
  int16_t low[MV_LANES_MAX] = {0}, high[MV_LANES_MAX] = {0};
  mv_best_rows best;
  memset(table->groups, 0, centroids->n_groups);
  const mv_status status = mv_best_rows_init(&best, block->tokens, block->lanes, wanted);
  for (size_t first = 0; status == MV_OK && first < centroids->n_groups; first += MV_TILE) {
    const size_t left = centroids->n_groups - first, n = left < MV_TILE ? left : MV_TILE;
    int16_t *scores = rows + first * block->lanes;
    mv_table_score(table, centroids->group_rows + first * centroids->padded, n, scores, low, high);
  }
  if (status == MV_OK) {
    mv_best_rows_bound(&best, rows, centroids->n_groups);
    mv_best_rows_offer(&best, rows, 0, centroids->n_groups);
    mv_best_rows_select(&best);
  }
  for (size_t l = 0; status == MV_OK && l < block->tokens; l++) {
    const uint64_t *keys = best.keys + l * best.room;
    for (size_t i = 0; i < best.count[l]; i++) table->groups[mv_key_row(keys[i])] = 1;
  }
  mv_best_rows_free(&best);
  return status;
}

/* Room for the rows of the marked groups, one after the other: they stay in the caches. Before them
 * are those of all groups, if there are any. */
static mv_status reserve_rows(mv_query *query, const int16_t *group_rows) {
  mv_table *table = query->table;
  const mv_centroids *centroids = &table->codec->centroids;
  const size_t lanes = table->block.lanes;
  table->n_group_rows = group_rows != NULL ? centroids->n_groups : 0;
  table->n_rows = table->n_group_rows;
  table->kind = MV_TABLE_FULL;
  for (size_t g = 0; g < centroids->n_groups; g++) {
    if (table->groups[g]) {
      table->n_rows += centroids->group_starts[g + 1] - centroids->group_starts[g];
    } else {
      table->kind = MV_TABLE_PARTIAL;
    }
  }
  table->row_of_bytes = mv_index_bytes(table->n_rows);
  table->row_of = reserve(query, MV_TABLE_INDEX, centroids->n, table->row_of_bytes);
  table->rows16 = reserve(query, MV_TABLE_ROWS16, table->n_rows * lanes, sizeof(int16_t));
  table->rows8 = reserve(query, MV_TABLE_ROWS8, table->n_rows, lanes);
  if (table->row_of == NULL || table->rows16 == NULL || table->rows8 == NULL)
    return MV_ERROR_MEMORY;
  if (group_rows == NULL) return MV_OK;
  mv_index_copy(table->row_of, table->row_of_bytes, centroids->group_of, centroids->group_of_bytes,
                centroids->n);
  memcpy(table->rows16, group_rows, table->n_group_rows * lanes * sizeof(int16_t));
  memset(table->rows8, 0, table->n_group_rows * lanes);
  return MV_OK;
}

/* The int16 scores of the centroids at places first .. last - 1, from a row of the table on. */
static void score_rows(mv_table *table, size_t first, size_t last, size_t row, int16_t *low,
                       int16_t *high) {
  const mv_centroids *centroids = &table->codec->centroids;
  for (; first < last; first += MV_TILE, row += MV_TILE) {
    const size_t n = last - first < MV_TILE ? last - first : MV_TILE;
    mv_table_score(table, centroids->rows + first * centroids->padded, n,
                   table->rows16 + row * table->block.lanes, low, high);
  }
}

/* Loads the rows of the first group from `g` on that is marked: groups are far apart. */
static void load_group_ahead(const mv_table *table, size_t g) {
  const mv_centroids *centroids = &table->codec->centroids;
  while (g < centroids->n_groups && !table->groups[g]) g++;
  if (g == centroids->n_groups) return;
  const size_t first = centroids->group_starts[g], rows = centroids->group_starts[g + 1] - first;
  mv_load_range_ahead(centroids->rows + first * centroids->padded, rows * centroids->padded);
}

/* Computes the int16 rows of the marked groups. */
static void compute_rows(mv_table *table, int16_t *low, int16_t *high) {
  const mv_centroids *centroids = &table->codec->centroids;
  for (size_t l = 0; l < table->block.lanes; l++) {
    low[l] = INT16_MAX;
    high[l] = INT16_MIN;
  }
  size_t row = table->n_group_rows;
  for (size_t g = 0; g < centroids->n_groups; g++) {
    if (!table->groups[g]) continue;
    const size_t first = centroids->group_starts[g], last = centroids->group_starts[g + 1];
    if (table->kind == MV_TABLE_PARTIAL) load_group_ahead(table, g + 1);
    score_rows(table, first, last, row, low, high);
    for (size_t i = first; i < last; i++, row++) {
      mv_index_write(table->row_of, centroids->numbers[i], table->row_of_bytes, row);
    }
  }
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

int mv_has_partial_tables(const mv_query *query, const mv_codec *codec) {
  const size_t wanted = query->groups_wanted;
  return wanted > 0 && wanted < codec->centroids.n_groups && codec->centroids.n >= query->large;
}

mv_status mv_table_make(mv_query *query, const mv_codec *codec, size_t index) {
  mv_table *table = query->table = &query->tables[index < MV_TABLES ? index : MV_TABLES - 1];
  const size_t n_groups = codec->centroids.n_groups;
  if (table->kind != MV_TABLE_NONE && table->codec == codec && table->index == index) return MV_OK;
  table->kind = MV_TABLE_NONE;
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  table->codec = codec;
  table->index = index;
  mv_query_block(query, index, &table->block);
  choose_units(table);
  table->groups = reserve(query, MV_TABLE_GROUPS, n_groups, 1);
  if (table->groups == NULL) return MV_ERROR_MEMORY;
  int16_t *group_rows = NULL;
  if (mv_has_partial_tables(query, codec)) {
    const size_t bytes = table->block.lanes * sizeof(int16_t);
    group_rows = mv_query_reserve(query, MV_MEMORY_GROUP_ROWS, n_groups, bytes);
    if (group_rows == NULL) return MV_ERROR_MEMORY;
    status = mark_groups(table, query->groups_wanted, group_rows);
  } else {
    memset(table->groups, 1, n_groups);
  }
  if (status == MV_OK) status = reserve_rows(query, group_rows);
  if (status != MV_OK) {
    table->kind = MV_TABLE_NONE;
    return status;
  }
  int16_t low[MV_LANES_MAX], high[MV_LANES_MAX];
  compute_rows(table, low, high);
  choose_coarse_scale(table, low, high);
  const size_t computed = table->n_rows - table->n_group_rows;
  const size_t at = table->n_group_rows * table->block.lanes;
  mv_kernels_get()->narrow8(table->rows16 + at, computed, table->block.lanes, low,
                            table->coarse_scale, table->rows8 + at);
  query->counts.centroids += computed;
  return MV_OK;
}
