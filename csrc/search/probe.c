/* The lists to read: for each query token the lists of the centroids that score best.
 *
 *   1. make the table of the block
 *   2. rank centroids per token, the best groups first, so that the kernel skips most of the rest
 *   3. write the probes by rank, then token, without lists that gain little */
#include "best_rows.h"
#include "query.h"
#include "stages.h"

#define LEAST_GAIN 0.2f /* of a list, as a share of the gain of the token's best list */

/* Ranks the lists of the groups that the table has. */
static void rank_groups(const mv_table *table, mv_best_rows *best) {
  const mv_centroids *centroids = &table->codec->centroids;
  for (uint8_t mark = MV_GROUP_BEST; mark > MV_GROUP_ABSENT; mark--) {
    size_t row = table->n_group_rows;
    for (uint32_t g = 0; g < centroids->n_groups; g++) {
      if (table->groups[g] == MV_GROUP_ABSENT) continue;
      const uint32_t first = centroids->group_starts[g], n = centroids->group_starts[g + 1] - first;
      if (table->groups[g] == mark)
        mv_best_rows_offer(best, table->rows16 + row * table->block.lanes, first, n);
      row += n;
    }
  }
  mv_best_rows_sort(best);
}

/* Writes the probes of all tokens, by rank, then token; their number. Lists that add little beside
 * the token's best are left out, as SPANN does (arXiv 2111.08566). */
static size_t write_probes(const mv_best_rows *best, const mv_table *table, mv_probe *probes,
                           float *base) {
  size_t count = 0;
  *base = 0.0f;
  for (size_t rank = 0; rank < best->limit; rank++) {
    for (size_t l = 0; l < table->block.tokens; l++) {
      const uint64_t *keys = best->keys + l * best->room;
      if (rank >= best->count[l]) continue;
      const float real = table->unit[l] * table->block.scale[l];
      const int least = mv_key_score(keys[best->count[l] - 1]);
      const float gain = (float)(mv_key_score(keys[rank]) - least) * real;
      if (rank == 0) *base += (float)least * real;
      if (rank > 0 && gain < LEAST_GAIN * ((float)(mv_key_score(keys[0]) - least) * real)) continue;
      const uint32_t list = table->codec->centroids.numbers[mv_key_row(keys[rank])];
      probes[count++] = (mv_probe){list, (uint16_t)l, (uint16_t)rank, gain};
    }
  }
  return count;
}

mv_status mv_probe_lists(mv_query *query, const mv_codec *codec, size_t index, size_t nprobe,
                         mv_probe *probes, size_t *count, float *base) {
  if (index >= mv_query_blocks(query) || nprobe < 1 || nprobe > codec->centroids.n ||
      nprobe > UINT16_MAX) {
    return MV_ERROR_ARGUMENT;
  }
  mv_status status = mv_table_make(query, codec, index);
  if (status != MV_OK) return status;
  mv_best_rows best;
  status = mv_best_rows_init(&best, query->table.block.tokens, query->table.block.lanes, nprobe);
  if (status == MV_OK) {
    rank_groups(&query->table, &best);
    *count = write_probes(&best, &query->table, probes, base);
  }
  mv_best_rows_free(&best);
  return status;
}
