/* Candidates by lists: the gains of probes summed per document, in two readings of a block's lists.
 *
 *   1. find: look up all lists, read those of the probes that find, and note which documents are
 *      in one of them, and which in more than one. These are found, or those, or all of the other
 *      lists too: the fewest that are enough
 *   2. add: read all lists, and add the gain of each to the documents found, once a query token
 *
 * Most documents are in one list alone, and none of these is among the best. Bits tell them apart:
 * those of a million documents stay in the caches, where their sums do not. Gains are kept of the
 * documents found alone, side by side; the bits before a document's tell where. */
#include <string.h>

#include "../base/ahead.h"
#include "../base/bits.h"
#include "../postings/lists.h"
#include "../ranking/keys.h"
#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "query.h"
#include "stages.h"

enum { FOUND_PER_WANTED = 4 /* documents that are enough */ };

#define UNIT 65536.0f /* of a sum of gains: sums of integers do not depend on the order */

enum {
  HEADERS_AHEAD = 8, /* lists between the one whose block is loaded ahead and the one looked up */
  BODIES_AHEAD = 4,  /* the same of bodies and the list that is read */
  BODY_AHEAD = 1024  /* bytes of a body that are loaded ahead: the processor itself goes on */
};

/* Some of the documents of a probe's list, as they are decoded. */
typedef struct list_run {
  const mv_probe *probe;
  const uint8_t *allowed; /* of the segment; NULL: all */
  size_t first;           /* number of its document 0 */
  uint32_t documents[MV_LISTS_RUN];
  size_t n;
} list_run;

typedef void (*run_use)(mv_gathering *g, const list_run *run);

/* The chosen segments, and what is done with the runs of lists in them. */
typedef struct reading {
  mv_gathering *g;
  const mv_segment *segments;
  size_t n_segments;
  const uint8_t *chosen;
  const uint8_t *const *allowed; /* NULL: all documents of all segments */
  run_use use;
  uint64_t postings;
} reading;

/* Looks up the lists of all probes in a segment; of those that it lacks, an empty one. */
static mv_status find_lists(const mv_lists *lists, const mv_probe *probes, size_t n,
                            mv_list *found) {
  for (size_t i = 0; i < n; i++) {
    if (i + HEADERS_AHEAD < n && probes[i + HEADERS_AHEAD].list < lists->n_lists) {
      size_t size;
      mv_load_ahead(mv_lists_block(lists, probes[i + HEADERS_AHEAD].list / MV_LISTS_BLOCK, &size));
    }
    found[i] = (mv_list){0, NULL, NULL};
    if (probes[i].list >= lists->n_lists) continue;
    const mv_status status = mv_list_find(lists, probes[i].list, &found[i]);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

static size_t count_chosen(const reading *r) {
  size_t n = 0;
  for (size_t s = 0; s < r->n_segments; s++) n += r->chosen[s] != 0;
  return n;
}

/* Looks up the lists of all probes in the chosen segments. */
static mv_status find_all_lists(mv_query *query, const reading *r, const mv_probe *probes,
                                size_t n) {
  const size_t n_chosen = count_chosen(r);
  r->g->n_probes = 0;
  for (size_t i = 0; i < n; i++) {
    if (probes[i].token >= MV_LANES_MAX) return MV_ERROR_ARGUMENT;
  }
  mv_list *found = mv_query_reserve(query, MV_MEMORY_LISTS, n_chosen * n + 1, sizeof(mv_list));
  if (found == NULL) return MV_ERROR_MEMORY;
  r->g->lists = found;
  r->g->n_chosen = n_chosen;
  for (size_t s = 0; s < r->n_segments; s++) {
    if (!r->chosen[s]) continue;
    if (r->segments[s].lists == NULL) return MV_ERROR_ARGUMENT;
    const mv_status status = find_lists(r->segments[s].lists, probes, n, found);
    if (status != MV_OK) return status;
    found += n;
  }
  r->g->probes = probes;
  r->g->n_probes = n;
  return MV_OK;
}

static mv_status read_list(reading *r, mv_list list, uint32_t n_documents, list_run *run) {
  uint32_t last = UINT32_MAX;
  r->postings += list.n;
  while (list.n > 0) {
    const mv_status status = mv_list_run(&list, &last, n_documents, run->documents, &run->n);
    if (status != MV_OK) return status;
    r->use(r->g, run);
  }
  return MV_OK;
}

static void load_body_ahead(const mv_list *list) {
  const size_t bytes = (size_t)(list->end - list->body);
  mv_load_range_ahead(list->body, bytes < BODY_AHEAD ? bytes : BODY_AHEAD);
}

/* Reads the lists of probes `from` .. `to` - 1. */
static mv_status read_lists(reading *r, size_t from, size_t to) {
  const mv_list *lists = r->g->lists;
  list_run run = {.first = 0};
  for (size_t s = 0; s < r->n_segments; s++) {
    if (!r->chosen[s]) continue;
    run.allowed = r->allowed != NULL ? r->allowed[s] : NULL;
    for (size_t i = from; i < to; i++) {
      if (i + BODIES_AHEAD < to) load_body_ahead(&lists[i + BODIES_AHEAD]);
      run.probe = &r->g->probes[i];
      const mv_status status = read_list(r, lists[i], r->segments[s].n_documents, &run);
      if (status != MV_OK) return status;
    }
    run.first += r->segments[s].n_documents;
    lists += r->g->n_probes;
  }
  return MV_OK;
}

/* ---- find ---- */

mv_status mv_gather_start(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *chosen, size_t wanted) {
  mv_gathering *g = &query->gathering;
  g->n_documents = mv_documents_in(segments, n_segments, chosen);
  g->n_words = g->n_documents / 64 + 1;
  g->n_found = 0;
  g->wanted = wanted;
  g->n_probes = 0;
  g->seen = mv_query_reserve(query, MV_MEMORY_SEEN, g->n_words, sizeof(mv_seen));
  g->found = mv_query_reserve(query, MV_MEMORY_FOUND, g->n_words, sizeof(uint64_t));
  g->before = mv_query_reserve(query, MV_MEMORY_BEFORE, g->n_words, sizeof(uint32_t));
  if (g->seen == NULL || g->found == NULL || g->before == NULL) return MV_ERROR_MEMORY;
  memset(g->found, 0, g->n_words * sizeof(uint64_t));
  return MV_OK;
}

/* Notes the documents that are allowed. */
static void see_run(mv_gathering *g, const list_run *run) {
  for (size_t i = 0; i < run->n; i++) {
    const size_t number = run->first + run->documents[i];
    mv_seen *seen = &g->seen[number / 64];
    const uint64_t bit = (uint64_t)mv_is_allowed(run->allowed, run->documents[i]) << number % 64;
    seen->twice |= seen->once & bit;
    seen->once |= bit;
  }
}

/* Reads the lists that find, then the others if too few are seen. *in_two: whether those that are
 * in more than one list are enough. */
static mv_status see(reading *r, int *in_two) {
  const mv_gathering *g = r->g;
  size_t finding = 0, seen[2]; /* once, twice */
  while (finding < g->n_probes && g->probes[finding].finds) finding++;
  memset(g->seen, 0, g->n_words * sizeof(mv_seen));
  mv_status status = read_lists(r, 0, finding);
  mv_kernels_get()->count_bits((const uint64_t *)g->seen, g->n_words, seen);
  *in_two = seen[1] / FOUND_PER_WANTED >= g->wanted;
  if (status != MV_OK || *in_two || seen[0] / FOUND_PER_WANTED >= g->wanted) return status;
  return read_lists(r, finding, g->n_probes);
}

/* Adds the documents seen to those found; leaves those found by earlier blocks as seen once. */
static void add_seen(mv_gathering *g, int in_two) {
  for (size_t i = 0; i < g->n_words; i++) {
    const uint64_t earlier = g->found[i];
    g->found[i] |= in_two ? g->seen[i].twice : g->seen[i].once;
    g->seen[i].once = earlier;
  }
}

/* Gives the documents of earlier blocks, seen once, their sums back. */
static void keep_sums(mv_gathering *g, const mv_gains *earlier) {
  for (size_t i = 0; i < g->n_words; i++) {
    for (uint64_t left = g->seen[i].once; left != 0; left &= left - 1) {
      uint32_t at = (uint32_t)(i * 64 + mv_lowest_bit(left));
      mv_kernels_get()->ranks(g->found, g->before, &at, 1);
      g->gains[at].sum = (earlier++)->sum;
    }
  }
}

/* Marks the documents found. Their gains keep the sums of earlier blocks, and no tokens. */
static mv_status mark(mv_query *query, int in_two) {
  mv_gathering *g = &query->gathering;
  const size_t n_earlier = g->n_found;
  mv_gains *earlier = mv_query_reserve(query, MV_MEMORY_SCRATCH, n_earlier + 1, sizeof(mv_gains));
  if (earlier == NULL) return MV_ERROR_MEMORY;
  if (n_earlier > 0) memcpy(earlier, g->gains, n_earlier * sizeof(mv_gains));
  add_seen(g, in_two);
  const size_t n = mv_kernels_get()->count_before(g->found, g->n_words, g->before);
  g->n_found = 0;
  g->gains = mv_query_reserve(query, MV_MEMORY_GAINS, n + 1, sizeof(mv_gains));
  if (g->gains == NULL) return MV_ERROR_MEMORY;
  memset(g->gains, 0, n * sizeof(mv_gains));
  if (n_earlier > 0) keep_sums(g, earlier);
  g->n_found = n;
  return MV_OK;
}

mv_status mv_gather_find(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, const uint8_t *const *allowed,
                         const mv_probe *probes, size_t n) {
  reading r = {&query->gathering, segments, n_segments, chosen, allowed, see_run, 0};
  if (mv_documents_in(segments, n_segments, chosen) != r.g->n_documents) return MV_ERROR_ARGUMENT;
  int in_two;
  mv_status status = find_all_lists(query, &r, probes, n);
  if (status == MV_OK) status = see(&r, &in_two);
  return status == MV_OK ? mark(query, in_two) : status;
}

/* ---- add ---- */

/* Adds the gain of a run's probe to those of the documents that are found. Branch-free but for the
 * loops: which are found cannot be predicted. */
static void add_run(mv_gathering *g, const list_run *run) {
  const uint32_t gain = (uint32_t)(run->probe->gain * UNIT + 0.5f);
  const uint32_t token = (uint32_t)1 << run->probe->token;
  uint32_t kept[MV_LISTS_RUN];
  size_t n = 0;
  for (size_t i = 0; i < run->n; i++) {
    const size_t number = run->first + run->documents[i];
    kept[n] = (uint32_t)number;
    n += g->found[number / 64] >> number % 64 & 1;
  }
  mv_kernels_get()->ranks(g->found, g->before, kept, n);
  for (size_t i = 0; i < n; i++) mv_load_ahead(&g->gains[kept[i]]);
  for (size_t i = 0; i < n; i++) {
    mv_gains *one = &g->gains[kept[i]];
    const uint32_t is_new = (one->tokens & token) == 0;
    one->tokens |= token;
    one->sum += gain & (0U - is_new);
  }
}

mv_status mv_gather_add(mv_query *query, const mv_segment *segments, size_t n_segments,
                        const uint8_t *chosen, size_t from, size_t to, uint64_t *postings) {
  reading r = {&query->gathering, segments, n_segments, chosen, NULL, add_run, 0};
  if (mv_documents_in(segments, n_segments, chosen) != r.g->n_documents ||
      count_chosen(&r) != r.g->n_chosen || from > to || to > r.g->n_probes)
    return MV_ERROR_ARGUMENT;
  const mv_status status = read_lists(&r, from, to);
  *postings += r.postings;
  return status;
}

/* ---- the best ---- */

/* The place of a document that is numbered through the chosen segments. */
static mv_place place_of(const mv_segment *segments, const uint8_t *chosen, uint32_t number) {
  uint32_t s = 0;
  for (;; s++) {
    if (!chosen[s]) continue;
    if (number < segments[s].n_documents) return (mv_place){s, number};
    number -= segments[s].n_documents;
  }
}

/* Puts those of n sums that are at least `least` in front of their places, as keys; their number.
 * Branch-free: which are cannot be predicted. */
static size_t keys_from(const uint32_t *sums, size_t n, uint32_t least, uint64_t *keys) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    keys[kept] = (uint64_t)sums[i] << 32 | i;
    kept += sums[i] >= least;
  }
  return kept;
}

/* Puts the numbers of n found documents, ascending, in place of their places among the found, so
 * that the earlier one of two with the same sum has the greater key. */
static void number_keys(const mv_gathering *g, uint64_t *keys, size_t n) {
  size_t word = 0;
  uint64_t left = g->found[0];
  uint32_t passed = 0; /* found ones before the first one left */
  for (size_t i = 0; i < n; i++) {
    const uint32_t at = (uint32_t)keys[i];
    for (; word + 1 < g->n_words && g->before[word + 1] <= at; left = g->found[word]) {
      passed = g->before[++word];
    }
    for (; passed < at; passed++) left &= left - 1;
    const uint32_t number = (uint32_t)(word * 64 + mv_lowest_bit(left));
    keys[i] = keys[i] >> 32 << 32 | (UINT32_MAX - number);
  }
}

mv_status mv_gather_best(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, size_t limit, size_t front, mv_place *places,
                         float *scores, size_t *count) {
  const mv_gathering *g = &query->gathering;
  if (mv_documents_in(segments, n_segments, chosen) != g->n_documents) return MV_ERROR_ARGUMENT;
  const size_t bytes = sizeof(uint64_t) + sizeof(uint32_t);
  uint64_t *keys = mv_query_reserve(query, MV_MEMORY_SCRATCH, g->n_found + 1, bytes);
  if (keys == NULL) return MV_ERROR_MEMORY;
  uint32_t *sums = (uint32_t *)(keys + g->n_found);
  for (size_t i = 0; i < g->n_found; i++) sums[i] = g->gains[i].sum;
  const size_t n = keys_from(sums, g->n_found, mv_threshold(sums, g->n_found, limit), keys);
  number_keys(g, keys, n);
  mv_keys_select(keys, n, limit);
  *count = n < limit ? n : limit;
  mv_keys_select(keys, *count, front);
  for (size_t i = 0; i < *count; i++) {
    places[i] = place_of(segments, chosen, UINT32_MAX - (uint32_t)keys[i]);
    scores[i] = (float)(keys[i] >> 32) / UNIT;
  }
  return MV_OK;
}
