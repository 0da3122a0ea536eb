/* Candidates by lists: the gains of probes summed per document.
 *
 *   1. find the list of each probe in each chosen segment
 *   2. decode the list run by run and drop the documents that are not allowed
 *   3. add the gain to each document, once a query token; note the documents found
 *   4. of the documents found keep those above a threshold, then the best by a heap */
#include <string.h>

#include "../base/ahead.h"
#include "../postings/lists.h"
#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "query.h"
#include "stages.h"

enum {
  MANY_FOUND = 8, /* one of so many documents is many */
  AHEAD = 24      /* documents between the one whose sum is loaded and the one that is read */
};

#define UNIT 65536.0f /* of a sum of gains: sums of integers do not depend on the order */

/* Where many documents were found, clearing all takes less time than finding them again. */
static void clear_found(mv_gathering *g) {
  if (g->n_found > g->n_documents / MANY_FOUND) {
    memset(g->found, 0, g->n_documents * sizeof(mv_found));
  } else {
    for (size_t i = 0; i < g->n_found; i++) g->found[g->order[i]] = (mv_found){0, 0};
  }
  g->n_found = 0;
}

mv_status mv_gather_start(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *chosen) {
  mv_gathering *g = &query->gathering;
  const size_t n = mv_documents_in(segments, n_segments, chosen);
  clear_found(g);
  g->n_documents = 0;
  const mv_buffer *buffer = &query->memory[MV_MEMORY_FOUND];
  if (n > buffer->capacity / sizeof(mv_found)) {
    g->found = mv_query_reserve(query, MV_MEMORY_FOUND, n, sizeof(mv_found));
    if (g->found == NULL) return MV_ERROR_MEMORY;
    memset(g->found, 0, buffer->capacity);
  }
  g->order = mv_query_reserve(query, MV_MEMORY_ORDER, n + 1, sizeof(uint32_t));
  if (g->order == NULL) return MV_ERROR_MEMORY;
  g->n_documents = n;
  return MV_OK;
}

void mv_gather_block(mv_query *query) {
  const mv_gathering *g = &query->gathering;
  for (size_t i = 0; i < g->n_found; i++) g->found[g->order[i]].tokens = 0;
}

/* Keeps the documents that are allowed; their number. */
static size_t keep_allowed(const uint8_t *allowed, uint32_t *documents, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    documents[kept] = documents[i];
    kept += (size_t)mv_is_allowed(allowed, documents[i]);
  }
  return kept;
}

/* Adds a probe's gain to the documents of a run; document 0 of their segment has the number
 * `first`. Branch-free: the branch is unpredictable. Writes one entry past n_found; `order` has
 * room. */
static void add_run(mv_gathering *g, size_t first, const uint32_t *documents, size_t n,
                    uint32_t token, uint32_t gain) {
  mv_found *found = g->found + first;
  uint32_t *order = g->order;
  size_t n_found = g->n_found;
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
  g->n_found = n_found;
}

static mv_status gather_list(mv_gathering *g, const mv_segment *segment, size_t first,
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
    add_run(g, first, documents, n, (uint32_t)1 << probe->token, gain);
  }
  return MV_OK;
}

mv_status mv_gather(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *chosen, const uint8_t *const *allowed, const mv_probe *probes,
                    size_t n, uint64_t *postings) {
  if (mv_documents_in(segments, n_segments, chosen) != query->gathering.n_documents)
    return MV_ERROR_ARGUMENT;
  size_t first = 0;
  for (size_t s = 0; s < n_segments; s++) {
    if (!chosen[s]) continue;
    for (size_t i = 0; i < n; i++) {
      if (probes[i].token >= MV_LANES_MAX || segments[s].lists == NULL) return MV_ERROR_ARGUMENT;
      if (probes[i].list >= segments[s].lists->n_lists) continue;
      mv_status status =
          gather_list(&query->gathering, &segments[s], first, allowed[s], &probes[i], postings);
      if (status != MV_OK) return status;
    }
    first += segments[s].n_documents;
  }
  return MV_OK;
}

/* The place of a document that is numbered through the chosen segments. */
static mv_place place_of(const mv_segment *segments, const uint8_t *chosen, uint32_t number) {
  uint32_t s = 0;
  for (;; s++) {
    if (!chosen[s]) continue;
    if (number < segments[s].n_documents) return (mv_place){s, number};
    number -= segments[s].n_documents;
  }
}

mv_status mv_gather_best(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, size_t limit, mv_place *places, float *scores,
                         size_t *count) {
  const mv_gathering *g = &query->gathering;
  if (mv_documents_in(segments, n_segments, chosen) != g->n_documents) return MV_ERROR_ARGUMENT;
  uint32_t *sums = mv_query_reserve(query, MV_MEMORY_SCRATCH, g->n_found, sizeof(uint32_t));
  if (sums == NULL) return MV_ERROR_MEMORY;
  for (size_t i = 0; i < g->n_found; i++) {
    if (i + AHEAD < g->n_found) mv_load_ahead(&g->found[g->order[i + AHEAD]]);
    sums[i] = g->found[g->order[i]].sum;
  }
  const uint32_t least = mv_threshold(sums, g->n_found, limit);
  mv_topk top = {places, scores, limit, 0};
  for (size_t i = 0; i < g->n_found; i++) {
    if (sums[i] < least) continue;
    mv_topk_offer(&top, place_of(segments, chosen, g->order[i]), (float)(sums[i] - 1) / UNIT);
  }
  *count = top.count;
  return MV_OK;
}
