/* Which lists to read: for each query token the centroids that score best. */
#include <string.h>

#include "query.h"

/* The best lists of one token so far, best first; of equal scores the smaller number. */
typedef struct ranking {
  int16_t *scores; /* [nprobe] */
  uint32_t *lists; /* [nprobe] */
  size_t count;
} ranking;

static void offer(ranking *r, size_t nprobe, uint32_t list, int16_t score) {
  size_t at = r->count < nprobe ? r->count++ : nprobe - 1;
  for (; at > 0 && r->scores[at - 1] < score; at--) {
    r->scores[at] = r->scores[at - 1];
    r->lists[at] = r->lists[at - 1];
  }
  r->scores[at] = score;
  r->lists[at] = list;
}

/* Offers every centroid to every token; the kernel skips rows in which no token gains. */
static void rank_centroids(const int16_t *table, size_t n, const mv_block *block, size_t nprobe,
                           ranking *rankings) {
  int16_t least[MV_LANES_MAX];
  for (size_t l = 0; l < block->lanes; l++) least[l] = l < block->tokens ? INT16_MIN : INT16_MAX;
  for (size_t at = 0; at < n; at++) {
    at += mv_kernels_get()->above(table + at * block->lanes, n - at, block->lanes, least);
    if (at == n) break;
    for (size_t l = 0; l < block->tokens; l++) {
      int16_t score = table[at * block->lanes + l];
      if (score <= least[l]) continue;
      offer(&rankings[l], nprobe, (uint32_t)at, score);
      if (rankings[l].count == nprobe) least[l] = rankings[l].scores[nprobe - 1];
    }
  }
}

mv_status mv_probe_lists(mv_query *query, const mv_codec *codec, size_t index, size_t nprobe,
                         mv_probe *probes, size_t *count, float *base) {
  if (index >= mv_query_blocks(query) || nprobe < 1 || nprobe > codec->n_centroids ||
      nprobe > UINT16_MAX) {
    return MV_ERROR_ARGUMENT;
  }
  mv_status status = mv_query_tables(query, codec, index);
  if (status != MV_OK) return status;
  mv_block block;
  mv_query_block(query, index, &block);
  ranking rankings[MV_LANES_MAX];
  int16_t *scores = mv_alloc(block.tokens * nprobe, sizeof(int16_t));
  uint32_t *lists = mv_alloc(block.tokens * nprobe, sizeof(uint32_t));
  if (scores != NULL && lists != NULL) {
    for (size_t l = 0; l < block.tokens; l++) {
      rankings[l] = (ranking){scores + l * nprobe, lists + l * nprobe, 0};
    }
    rank_centroids(query->table16.data, codec->n_centroids, &block, nprobe, rankings);
    *base = 0.0f;
    for (size_t l = 0; l < block.tokens; l++) {
      float real = query->unit[l] * block.scale[l];
      int16_t least = rankings[l].scores[nprobe - 1];
      *base += (float)least * real;
      for (size_t rank = 0; rank < nprobe; rank++) {
        probes[rank * block.tokens + l] =
            (mv_probe){rankings[l].lists[rank], (uint16_t)l, (uint16_t)rank,
                       (float)(rankings[l].scores[rank] - least) * real};
      }
    }
    *count = block.tokens * nprobe;
  } else {
    status = MV_ERROR_MEMORY;
  }
  mv_free(scores);
  mv_free(lists);
  return status;
}
