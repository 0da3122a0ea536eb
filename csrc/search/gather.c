/* Documents found through lists, with what the lists say of their scores. */
#include <string.h>

#include "../base/ahead.h"
#include "../postings/lists.h"
#include "query.h"
#include "segment.h"
#include "topk.h"

#define UNIT 65536.0f /* units of a gain's sum: integers, so that their order does not matter */

static size_t listed_documents(const mv_segment *segments, size_t n_segments,
                               const uint8_t *chosen) {
  size_t n = 0;
  for (size_t s = 0; s < n_segments; s++) n += chosen[s] ? segments[s].n_documents : 0;
  return n;
}

mv_status mv_gather_start(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *chosen) {
  size_t n = listed_documents(segments, n_segments, chosen);
  mv_found *found = query->found.data;
  uint32_t *order = query->order.data;
  for (size_t i = 0; i < query->n_found; i++) found[order[i]] = (mv_found){0, 0};
  query->n_found = 0;
  if (n > query->found.capacity / sizeof(mv_found)) {
    found = mv_buffer_reserve(&query->found, n, sizeof(mv_found));
    if (found == NULL) return MV_ERROR_MEMORY;
    memset(found, 0, query->found.capacity);
  }
  if (mv_buffer_reserve(&query->order, n + 1, sizeof(uint32_t)) == NULL) return MV_ERROR_MEMORY;
  return MV_OK;
}

void mv_gather_block(mv_query *query) {
  mv_found *found = query->found.data;
  const uint32_t *order = query->order.data;
  for (size_t i = 0; i < query->n_found; i++) found[order[i]].tokens = 0;
}

/* Leaves those that are allowed; how many. */
static size_t keep_allowed(const uint8_t *allowed, uint32_t *documents, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    documents[kept] = documents[i];
    kept += (size_t)mv_is_allowed(allowed, documents[i]);
  }
  return kept;
}

/* Adds a probe's gain to the documents of a run, whose first one is `first` in all. Without
 * branches, which could not be foretold; so there must be room for one document more in order. */
static void add_run(mv_query *query, size_t first, const uint32_t *documents, size_t n,
                    uint32_t token, uint32_t gain) {
  mv_found *found = (mv_found *)query->found.data + first;
  uint32_t *order = query->order.data;
  size_t n_found = query->n_found;
  for (size_t i = 0; i < n; i++) mv_load_ahead(&found[documents[i]]);
  for (size_t i = 0; i < n; i++) {
    mv_found *one = &found[documents[i]];
    /* A sum is never zero once its document is found. */
    const uint32_t is_found = one->sum == 0, is_new = (one->tokens & token) == 0;
    order[n_found] = (uint32_t)first + documents[i];
    n_found += is_found;
    one->tokens |= token;
    one->sum += is_found + (gain & (0U - is_new));
  }
  query->n_found = n_found;
}

static mv_status gather_list(mv_query *query, const mv_segment *segment, size_t first,
                             const uint8_t *allowed, const mv_probe *probe, uint64_t *postings) {
  mv_list list;
  mv_status status = mv_list_find(segment->lists, probe->list, &list);
  if (status != MV_OK) return status;
  uint32_t gain = (uint32_t)(probe->gain * UNIT + 0.5f);
  uint32_t last = UINT32_MAX;
  *postings += list.n;
  while (list.n > 0) {
    uint32_t documents[MV_LISTS_RUN];
    size_t n;
    status = mv_list_run(&list, &last, segment->n_documents, documents, &n);
    if (status != MV_OK) return status;
    if (allowed != NULL) n = keep_allowed(allowed, documents, n);
    add_run(query, first, documents, n, (uint32_t)1 << probe->token, gain);
  }
  return MV_OK;
}

mv_status mv_gather(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *chosen, const uint8_t *const *allowed, const mv_probe *probes,
                    size_t n, uint64_t *postings) {
  size_t first = 0;
  for (size_t s = 0; s < n_segments; s++) {
    if (!chosen[s]) continue;
    for (size_t i = 0; i < n; i++) {
      if (probes[i].token >= MV_LANES_MAX || segments[s].lists == NULL) return MV_ERROR_ARGUMENT;
      if (probes[i].list >= segments[s].lists->n_lists) continue;
      mv_status status = gather_list(query, &segments[s], first, allowed[s], &probes[i], postings);
      if (status != MV_OK) return status;
    }
    first += segments[s].n_documents;
  }
  return MV_OK;
}

mv_status mv_gather_best(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, size_t limit, mv_place *places, float *scores,
                         size_t *count) {
  size_t *ends = mv_alloc(n_segments, sizeof(size_t));
  uint32_t *sums = mv_buffer_reserve(&query->sums, query->n_found, sizeof(uint32_t));
  mv_topk top = {places, scores, limit, 0};
  mv_status status =
      ends != NULL && (sums != NULL || query->n_found == 0) ? MV_OK : MV_ERROR_MEMORY;
  if (status == MV_OK && query->n_found > 0) {
    size_t end = 0;
    for (size_t s = 0; s < n_segments; s++) {
      end += chosen[s] ? segments[s].n_documents : 0;
      ends[s] = end;
    }
    const mv_found *found = query->found.data;
    const uint32_t *order = query->order.data;
    for (size_t i = 0; i < query->n_found; i++) sums[i] = found[order[i]].sum;
    uint32_t least = mv_threshold(sums, query->n_found, limit);
    for (size_t i = 0; i < query->n_found; i++) {
      if (sums[i] < least) continue;
      uint32_t s = 0;
      while (order[i] >= ends[s]) s++;
      size_t begin = s > 0 ? ends[s - 1] : 0;
      mv_topk_offer(&top, (mv_place){s, (uint32_t)(order[i] - begin)}, (float)(sums[i] - 1) / UNIT);
    }
  }
  mv_free(ends);
  *count = top.count;
  return status;
}
