/* Which lists to read: for each query token the centroids that score best. */
#include <string.h>

#include "query.h"

enum {
  MANY_CENTROIDS = 1 << 15, /* from so many on tables are made for some groups only */
  GROUPS_PROBED = 24        /* per query token, and three for two lists */
};

#define LEAST_GAIN 0.2f /* of a list, as a share of what the token's best one adds */

/* A list and its score in one number: the greater the better, of equal scores the smaller list. */
static uint64_t entry_of(int16_t score, uint32_t list) {
  return (uint64_t)(uint32_t)(score - INT16_MIN) << 32 | (UINT32_MAX - list);
}

static int16_t entry_score(uint64_t entry) {
  return (int16_t)((int32_t)(uint32_t)(entry >> 32) + INT16_MIN);
}

static uint32_t entry_list(uint64_t entry) { return UINT32_MAX - (uint32_t)entry; }

/* The best lists of one token so far: a heap whose root is the worst, sorted at the end. */
typedef struct ranking {
  uint64_t *entries; /* [nprobe] */
  size_t count;
} ranking;

static void sift_down(uint64_t *entries, size_t at, size_t count) {
  uint64_t entry = entries[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && entries[child + 1] < entries[child]) child++;
    if (entries[child] >= entry) break;
    entries[at] = entries[child];
    at = child;
  }
  entries[at] = entry;
}

static void offer(ranking *r, size_t nprobe, uint64_t entry) {
  if (r->count == nprobe) {
    if (entry < r->entries[0]) return;
    r->entries[0] = entry;
    sift_down(r->entries, 0, nprobe);
    return;
  }
  size_t at = r->count++;
  for (; at > 0 && r->entries[(at - 1) / 2] > entry; at = (at - 1) / 2) {
    r->entries[at] = r->entries[(at - 1) / 2];
  }
  r->entries[at] = entry;
}

/* Best first. */
static void sort(ranking *r) {
  for (size_t left = r->count; left > 1; left--) {
    uint64_t worst = r->entries[0];
    r->entries[0] = r->entries[left - 1];
    r->entries[left - 1] = worst;
    sift_down(r->entries, 0, left - 1);
  }
}

/* Offers centroids first .. last - 1 to every token; the kernel skips rows in which no token gains.
 * least: what a token's list has to exceed, one below the worst of a full ranking. */
static void rank_centroids(const int16_t *table, uint32_t first, uint32_t last,
                           const mv_block *block, size_t nprobe, ranking *rankings,
                           int16_t *least) {
  const mv_kernels *kernels = mv_kernels_get();
  for (size_t at = first; at < last; at++) {
    at += kernels->above(table + at * block->lanes, last - at, block->lanes, least);
    if (at == last) break;
    for (size_t l = 0; l < block->tokens; l++) {
      int16_t score = table[at * block->lanes + l];
      if (score <= least[l]) continue;
      offer(&rankings[l], nprobe, entry_of(score, (uint32_t)at));
      if (rankings[l].count < nprobe) continue;
      int16_t worst = entry_score(rankings[l].entries[0]);
      least[l] = (int16_t)(worst - (worst > INT16_MIN));
    }
  }
}

/* The best groups come first, so that most lists of the others are skipped. */
static void rank_groups(const mv_query *query, const mv_codec *codec, const mv_block *block,
                        size_t nprobe, ranking *rankings) {
  int16_t least[MV_LANES_MAX];
  const uint8_t *present = query->groups.data;
  for (size_t l = 0; l < block->lanes; l++) least[l] = l < block->tokens ? INT16_MIN : INT16_MAX;
  for (uint8_t mark = MV_GROUP_BEST; mark > MV_GROUP_ABSENT; mark--) {
    for (uint32_t g = 0; g < codec->n_groups; g++) {
      if (present[g] != mark) continue;
      rank_centroids(query->table16.data, codec->group_starts[g], codec->group_starts[g + 1], block,
                     nprobe, rankings, least);
    }
  }
  for (size_t l = 0; l < block->tokens; l++) sort(&rankings[l]);
}

/* Writes the probes of all tokens, by rank, then token; how many. Lists that add little beside the
 * token's best are left out, as SPANN does (arXiv 2111.08566). */
static size_t write_probes(const ranking *rankings, const mv_query *query, const mv_block *block,
                           size_t nprobe, mv_probe *probes, float *base) {
  size_t count = 0;
  *base = 0.0f;
  for (size_t rank = 0; rank < nprobe; rank++) {
    for (size_t l = 0; l < block->tokens; l++) {
      const ranking *r = &rankings[l];
      if (rank >= r->count) continue;
      float real = query->unit[l] * block->scale[l];
      int16_t least = entry_score(r->entries[r->count - 1]);
      float gain = (float)(entry_score(r->entries[rank]) - least) * real;
      float best = (float)(entry_score(r->entries[0]) - least) * real;
      if (rank == 0) *base += (float)least * real;
      if (rank > 0 && gain < LEAST_GAIN * best) continue;
      probes[count++] = (mv_probe){entry_list(r->entries[rank]), (uint16_t)l, (uint16_t)rank, gain};
    }
  }
  return count;
}

mv_status mv_probe_lists(mv_query *query, const mv_codec *codec, size_t index, size_t nprobe,
                         mv_probe *probes, size_t *count, float *base) {
  if (index >= mv_query_blocks(query) || nprobe < 1 || nprobe > codec->n_centroids ||
      nprobe > UINT16_MAX) {
    return MV_ERROR_ARGUMENT;
  }
  if (codec->n_centroids >= MANY_CENTROIDS && query->groups_wanted == 0) {
    query->groups_wanted = GROUPS_PROBED + nprobe * 3 / 2;
  }
  mv_status status = mv_query_tables(query, codec, index);
  if (status != MV_OK) return status;
  const mv_block *block = &query->block;
  ranking rankings[MV_LANES_MAX];
  uint64_t *entries = mv_alloc(block->tokens * nprobe, sizeof(uint64_t));
  if (entries == NULL) return MV_ERROR_MEMORY;
  for (size_t l = 0; l < block->tokens; l++) rankings[l] = (ranking){entries + l * nprobe, 0};
  rank_groups(query, codec, block, nprobe, rankings);
  *count = write_probes(rankings, query, block, nprobe, probes, base);
  mv_free(entries);
  return MV_OK;
}
