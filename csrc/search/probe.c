/* The lists to read: for each query token the lists of the centroids that score best.
 *
 *   1. make the table of the block
 *   2. rank centroids per token
 *   3. write the probes that find documents, then the others, without lists that gain little */
#include "best_rows.h"
#include "query.h"
#include "stages.h"

/* Gains in fifths of the gain of the token's best list. */
enum { LEAST_FIFTHS = 1 /* of a list that is read */, FINDING_FIFTHS = 3 /* of one that finds */ };

/* Ranks the lists of the groups that the table has. */
static void rank_lists(const mv_table *table, mv_best_rows *best) {
  const mv_centroids *centroids = &table->codec->centroids;
  const size_t lanes = table->block.lanes;
  const int16_t *rows = table->rows16 + table->n_group_rows * lanes;
  mv_best_rows_bound(best, rows, table->n_rows - table->n_group_rows);
  for (uint32_t g = 0; g < centroids->n_groups; g++) {
    if (!table->groups[g]) continue;
    const uint32_t first = centroids->group_starts[g], n = centroids->group_starts[g + 1] - first;
    mv_best_rows_offer(best, rows, first, n);
    rows += n * lanes;
  }
  mv_best_rows_sort(best);
}

/* The gain of a token's list, in units of the table. */
static int gain_of(const mv_best_rows *best, size_t token, size_t rank) {
  const uint64_t *keys = best->keys + token * best->room;
  return mv_key_score(keys[rank]) - mv_key_score(keys[best->count[token] - 1]);
}

/* A token's unit of the table as a real score. */
static float unit_of(const mv_table *table, size_t token) {
  return table->unit[token] * table->block.scale[token];
}

/* What is imputed to a document that is in no list: the scores of the tokens' last ones. */
static float base_of(const mv_best_rows *best, const mv_table *table) {
  float base = 0.0f;
  for (size_t l = 0; l < table->block.tokens; l++) {
    if (best->count[l] == 0) continue;
    const int least = mv_key_score(best->keys[l * best->room + best->count[l] - 1]);
    base += (float)least * unit_of(table, l);
  }
  return base;
}

/* Writes the probes of all tokens that find documents, or the others, by rank, then token; their
 * number. Lists that add little beside the token's best are left out, as SPANN does (arXiv
 * 2111.08566). */
static size_t write_probes(const mv_best_rows *best, const mv_table *table, uint8_t finding,
                           mv_probe *probes) {
  size_t count = 0;
  for (size_t rank = 0; rank < best->limit; rank++) {
    for (size_t l = 0; l < table->block.tokens; l++) {
      if (rank >= best->count[l]) continue;
      const int gain = gain_of(best, l, rank), most = gain_of(best, l, 0);
      const uint8_t finds = 5 * gain >= FINDING_FIFTHS * most;
      if (5 * gain < LEAST_FIFTHS * most || finds != finding) continue;
      const uint32_t place = mv_key_row(best->keys[l * best->room + rank]);
      const uint32_t list = table->codec->centroids.numbers[place];
      const float real = (float)gain * unit_of(table, l);
      probes[count++] = (mv_probe){list, (uint8_t)l, finds, (uint16_t)rank, real};
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
  status = mv_best_rows_init(&best, query->table->block.tokens, query->table->block.lanes, nprobe);
  if (status == MV_OK) {
    rank_lists(query->table, &best);
    *count = write_probes(&best, query->table, 1, probes);
    *count += write_probes(&best, query->table, 0, probes + *count);
    *base = base_of(&best, query->table);
  }
  mv_best_rows_free(&best);
  return status;
}
