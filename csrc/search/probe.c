/* The lists to read: for each query token the lists of the centroids that score best.
 *
 *   1. make the table of the block; of a large codec that of the nearest groups only
 *   2. rank centroids per token, the best groups first, so that the kernel skips most of the rest
 *   3. write the probes by rank, then token, without lists that gain little */
#include <string.h>

#include "../ranking/topk.h"
#include "query.h"

/* Groups per query token whose rows a partial table has: 16 + nprobe / 6. */
enum { GROUPS_PROBED = 16, PROBES_PER_GROUP = 6 };

#define LEAST_GAIN 0.2f /* of a list, as a share of the gain of the token's best list */

/* Offers centroids first .. last - 1 to the ranking of every token; the kernel skips rows in which
 * no token gains. least: the score that a token's list has to exceed, one below the worst of a full
 * ranking. Places of a ranking are (0, list). */
static void rank_centroids(const mv_table *table, uint32_t first, uint32_t last, mv_topk *rankings,
                           int16_t *least) {
  const mv_kernels *kernels = mv_kernels_get();
  const size_t lanes = table->block.lanes;
  for (size_t at = first; at < last; at++) {
    at += kernels->above(table->rows16 + at * lanes, last - at, lanes, least);
    if (at == last) break;
    for (size_t l = 0; l < table->block.tokens; l++) {
      const int16_t score = table->rows16[at * lanes + l];
      if (score <= least[l]) continue;
      mv_topk *r = &rankings[l];
      mv_topk_offer(r, (mv_place){0, (uint32_t)at}, score);
      if (r->count < r->limit) continue;
      const int16_t worst = (int16_t)r->scores[0];
      least[l] = (int16_t)(worst - (worst > INT16_MIN));
    }
  }
}

/* Ranks the lists of the groups that the table has. */
static void rank_groups(const mv_table *table, mv_topk *rankings) {
  const mv_centroids *centroids = &table->codec->centroids;
  int16_t least[MV_LANES_MAX];
  for (size_t l = 0; l < table->block.lanes; l++) {
    least[l] = l < table->block.tokens ? INT16_MIN : INT16_MAX;
  }
  for (uint8_t mark = MV_GROUP_BEST; mark > MV_GROUP_ABSENT; mark--) {
    for (uint32_t g = 0; g < centroids->n_groups; g++) {
      if (table->groups[g] != mark) continue;
      rank_centroids(table, centroids->group_starts[g], centroids->group_starts[g + 1], rankings,
                     least);
    }
  }
  for (size_t l = 0; l < table->block.tokens; l++) mv_topk_sort(&rankings[l]);
}

/* Writes the probes of all tokens, by rank, then token; their number. Lists that add little beside
 * the token's best are left out, as SPANN does (arXiv 2111.08566). */
static size_t write_probes(const mv_topk *rankings, const mv_table *table, mv_probe *probes,
                           float *base) {
  size_t count = 0;
  *base = 0.0f;
  for (size_t rank = 0; rank < rankings[0].limit; rank++) {
    for (size_t l = 0; l < table->block.tokens; l++) {
      const mv_topk *r = &rankings[l];
      if (rank >= r->count) continue;
      const float real = table->unit[l] * table->block.scale[l];
      const float least = r->scores[r->count - 1];
      const float gain = (r->scores[rank] - least) * real;
      if (rank == 0) *base += least * real;
      if (rank > 0 && gain < LEAST_GAIN * ((r->scores[0] - least) * real)) continue;
      probes[count++] = (mv_probe){r->places[rank].document, (uint16_t)l, (uint16_t)rank, gain};
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
  if (codec->centroids.n >= query->large && query->groups_wanted == 0) {
    query->groups_wanted = GROUPS_PROBED + nprobe / PROBES_PER_GROUP;
  }
  mv_status status = mv_table_make(query, codec, index);
  if (status != MV_OK) return status;
  const size_t tokens = query->table.block.tokens;
  mv_topk rankings[MV_LANES_MAX];
  mv_place *places = mv_alloc(tokens * nprobe, sizeof(mv_place));
  float *scores = mv_alloc(tokens * nprobe, sizeof(float));
  if (places != NULL && scores != NULL) {
    for (size_t l = 0; l < tokens; l++) {
      rankings[l] = (mv_topk){places + l * nprobe, scores + l * nprobe, nprobe, 0};
    }
    rank_groups(&query->table, rankings);
    *count = write_probes(rankings, &query->table, probes, base);
  } else {
    status = MV_ERROR_MEMORY;
  }
  mv_free(places);
  mv_free(scores);
  return status;
}
