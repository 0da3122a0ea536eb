/* The best `limit` of a stream of scored places: a heap whose root is the worst kept. */
#ifndef MV_RANKING_TOPK_H
#define MV_RANKING_TOPK_H

#include "../mvdb.h"

typedef struct mv_topk {
  mv_place *places; /* both of the caller, room for limit */
  float *scores;
  size_t limit;
  size_t count;
} mv_topk;

void mv_topk_offer(mv_topk *top, mv_place place, float score);
/* Sorts the kept places best first, ties by place; the heap is used up. */
void mv_topk_sort(mv_topk *top);
/* Sorts n scored places best first, ties by place. scratch: [2 * n]. */
void mv_topk_order(mv_place *places, float *scores, size_t n, uint64_t *scratch);

/* The least value that is among the `limit` greatest, or less. */
uint32_t mv_threshold(const uint32_t *values, size_t n, size_t limit);

#endif
