/* Candidates by lists: the gains of probes summed per document.
 *
 *   1. find the list of each probe in each chosen segment
 *   2. decode the list run by run and drop the documents that are not allowed
 *   3. add the gain to each document, once a query token; note the documents found, or pass over those
 *      that no list has found before
 *   4. of the documents found keep those above a threshold, then the best by a heap
 *
 * The sums of many documents do not fit the caches nearest to the processor, one bit for each does:
 * the lists of less gain, which have most of the postings, reach the sums of few. */
#include <string.h>

#include "../base/ahead.h"
#include "../postings/lists.h"
#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "query.h"
#include "stages.h"

enum {
  MANY_FOUND = 8,      /* one of so many documents is many */
  AHEAD = 24,          /* documents between the one whose sum is loaded and the one that is read */
  FOUND_PER_WANTED = 4 /* documents found from which probes of less gain find no more */
};

#define UNIT 65536.0f /* of a sum of gains: sums of integers do not depend on the order */

static size_t mark_bytes(size_t n) { return n / 8 + 1; }

/* Where many documents were found, clearing all takes less time than finding them again. */
static void clear_found(mv_gathering *g) {
  if (g->n_found > g->n_documents / MANY_FOUND) {
    memset(g->found, 0, g->n_documents * sizeof(mv_found));
    memset(g->marks, 0, mark_bytes(g->n_documents));
  } else {
    for (size_t i = 0; i < g->n_found; i++) {
      g->found[g->order[i]] = (mv_found){0, 0};
      g->marks[g->order[i] / 8] = 0;
    }
  }
  g->n_found = g->n_marked = 0;
  g->of_others = MV_REACH_UNKNOWN;
}

/* One of the query's buffers, at least `bytes` long, all zero; NULL when out of memory. */
static void *reserve_zeros(mv_query *query, int memory, void *present, size_t bytes) {
  const mv_buffer *buffer = &query->memory[memory];
  if (bytes <= buffer->capacity) return present;
  void *zeros = mv_query_reserve(query, memory, bytes, 1);
  if (zeros != NULL) memset(zeros, 0, buffer->capacity);
  return zeros;
}

mv_status mv_gather_start(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *chosen, size_t wanted) {
  mv_gathering *g = &query->gathering;
  const size_t n = mv_documents_in(segments, n_segments, chosen);
  clear_found(g);
  g->n_documents = 0;
  g->found = reserve_zeros(query, MV_MEMORY_FOUND, g->found, (n + 1) * sizeof(mv_found));
  g->marks = reserve_zeros(query, MV_MEMORY_MARKS, g->marks, mark_bytes(n));
  g->order = mv_query_reserve(query, MV_MEMORY_ORDER, n + 1, sizeof(uint32_t));
  if (g->found == NULL || g->marks == NULL || g->order == NULL) return MV_ERROR_MEMORY;
  g->n_documents = n;
  g->wanted = wanted;
  return MV_OK;
}

void mv_gather_block(mv_query *query) {
  mv_gathering *g = &query->gathering;
  for (size_t i = 0; i < g->n_found; i++) g->found[g->order[i]].tokens = 0;
  g->of_others = MV_REACH_UNKNOWN;
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

/* After a block's probes that find: what the others reach. Marks the documents found. */
static void reach_of_others(mv_gathering *g) {
  g->of_others = g->n_found / FOUND_PER_WANTED < g->wanted ? MV_REACH_ALL : MV_REACH_FOUND;
  for (; g->n_marked < g->n_found; g->n_marked++) {
    const uint32_t number = g->order[g->n_marked];
    g->marks[number / 8] |= (uint8_t)(1 << number % 8);
  }
}

/* `add_run` for the marked documents alone. */
static void add_to_marked(mv_gathering *g, size_t first, uint32_t *documents, size_t n,
                          uint32_t token, uint32_t gain) {
  mv_found *found = g->found + first;
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    const size_t number = first + documents[i];
    documents[kept] = documents[i];
    kept += g->marks[number / 8] >> number % 8 & 1;
  }
  for (size_t i = 0; i < kept; i++) mv_load_ahead(&found[documents[i]]);
  for (size_t i = 0; i < kept; i++) {
    mv_found *one = &found[documents[i]];
    const uint32_t is_new = (one->tokens & token) == 0;
    one->tokens |= token;
    one->sum += gain & (0U - is_new);
  }
}

static mv_status gather_list(mv_gathering *g, const mv_segment *segment, size_t first,
                             const uint8_t *allowed, const mv_probe *probe, mv_reach reach,
                             uint64_t *postings) {
  mv_list list;
  mv_status status = mv_list_find(segment->lists, probe->list, &list);
  if (status != MV_OK) return status;
  const uint32_t gain = (uint32_t)(probe->gain * UNIT + 0.5f), token = (uint32_t)1 << probe->token;
  uint32_t last = UINT32_MAX;
  *postings += list.n;
  while (list.n > 0) {
    uint32_t documents[MV_LISTS_RUN];
    size_t n;
    status = mv_list_run(&list, &last, segment->n_documents, documents, &n);
    if (status != MV_OK) return status;
    if (reach == MV_REACH_FOUND) {
      add_to_marked(g, first, documents, n, token, gain);
      continue;
    }
    if (allowed != NULL) n = keep_allowed(allowed, documents, n);
    add_run(g, first, documents, n, token, gain);
  }
  return MV_OK;
}

static mv_status gather_lists(mv_gathering *g, const mv_segment *segments, size_t n_segments,
                              const uint8_t *chosen, const uint8_t *const *allowed,
                              const mv_probe *probes, size_t n, mv_reach reach,
                              uint64_t *postings) {
  size_t first = 0;
  for (size_t s = 0; s < n_segments; s++) {
    if (!chosen[s]) continue;
    for (size_t i = 0; i < n; i++) {
      if (probes[i].token >= MV_LANES_MAX || segments[s].lists == NULL) return MV_ERROR_ARGUMENT;
      if (probes[i].list >= segments[s].lists->n_lists) continue;
      mv_status status =
          gather_list(g, &segments[s], first, allowed[s], &probes[i], reach, postings);
      if (status != MV_OK) return status;
    }
    first += segments[s].n_documents;
  }
  return MV_OK;
}

mv_status mv_gather(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *chosen, const uint8_t *const *allowed, const mv_probe *probes,
                    size_t n, uint64_t *postings) {
  mv_gathering *g = &query->gathering;
  if (mv_documents_in(segments, n_segments, chosen) != g->n_documents) return MV_ERROR_ARGUMENT;
  size_t finding = 0;
  while (finding < n && probes[finding].finds) finding++;
  mv_status status = gather_lists(g, segments, n_segments, chosen, allowed, probes, finding,
                                  MV_REACH_ALL, postings);
  if (status != MV_OK || finding == n) return status;
  if (g->of_others == MV_REACH_UNKNOWN) reach_of_others(g);
  return gather_lists(g, segments, n_segments, chosen, allowed, probes + finding, n - finding,
                      g->of_others, postings);
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
