/* A search, stage by stage (mv_stage). A stage that reads bytes which the caller has not verified
 * tells so first, and is called again:
 *
 *   1. probe and gather: for each block of the query, for each codec
 *   2. rank what was found by its codes, the first ones and then those of the others that may be as
 *      good, and the documents that are found by codes
 *   3. score the documents that are found by scores, then the ranked ones
 *   4. refine the best
 *
 * The documents ranked so far are the first `n_ranked` of an array with room for all; those found
 * by scores follow them. */
#include <string.h>

#include "../segment/segment.h"
#include "query.h"
#include "stages.h"
#include "waits.h"

/* ---- which stage is next ---- */

static int has_way(const mv_step *s, int way) {
  return s->n_segments > 0 && memchr(s->ways, way, s->n_segments) != NULL;
}

/* Whether a segment is found by the lists of a codec. */
static int is_listed(const mv_step *s, size_t at, const mv_codec *codec) {
  return s->ways[at] == MV_BY_LISTS && s->segments[at].codec == codec;
}

/* The first segment from `at` on that is found by lists and has another codec than those before. */
static size_t next_listed(const mv_step *s, size_t at) {
  for (; at < s->n_segments; at++) {
    size_t first = 0;
    while (first < at && !is_listed(s, first, s->segments[at].codec)) first++;
    if (first == at && s->ways[at] == MV_BY_LISTS) break;
  }
  return at;
}

/* Whether scores are precise from the beginning. */
static int are_precise(const mv_search *search) {
  return search->n_ranked == 0 && search->plan.scores == MV_SCORE_PRECISE;
}

static int has_work(const mv_step *s, mv_stage stage) {
  const mv_search *search = s->search;
  switch (stage) {
    case MV_STAGE_PROBE:
    case MV_STAGE_GATHER:
      return search->segment < s->n_segments;
    case MV_STAGE_INTERACT:
    case MV_STAGE_INTERACT_REST:
    case MV_STAGE_RANK:
    case MV_STAGE_RANK_REST:
      return search->n_ranked > 0;
    case MV_STAGE_CODES:
      return has_way(s, MV_BY_CODES);
    case MV_STAGE_SCORES:
      return search->n_others > 0;
    case MV_STAGE_REFINE:
      return search->plan.refines && !are_precise(search);
    case MV_STAGE_END:
      break;
  }
  return 1;
}

/* Goes to `stage`, or to the first one behind it that has work. */
static void enter(const mv_step *s, mv_stage stage) {
  while (!has_work(s, stage)) stage = (mv_stage)(stage + 1);
  s->search->stage = stage;
  s->search->is_told = 0;
}

/* ---- documents by lists ---- */

static size_t least_of(size_t x, size_t y) { return x < y ? x : y; }

static mv_status probe(const mv_step *s) {
  mv_search *search = s->search;
  const mv_codec *codec = s->segments[search->segment].codec;
  const size_t nprobe = least_of(least_of(search->plan.nprobe, codec->centroids.n), UINT16_MAX);
  search->probes =
      mv_query_reserve(s->query, MV_MEMORY_PROBES, MV_LANES_MAX * nprobe, sizeof(mv_probe));
  if (search->probes == NULL) return MV_ERROR_MEMORY;
  mv_status status = MV_OK;
  if (search->block == 0) {
    for (size_t i = 0; i < s->n_segments; i++) search->chosen[i] = is_listed(s, i, codec) != 0;
    status = mv_gather_start(s->query, s->segments, s->n_segments, search->chosen,
                             search->plan.n_candidates);
  }
  if (status != MV_OK) return status;
  float base;
  status = mv_probe_lists(s->query, codec, search->block, nprobe, search->probes, &search->n_probes,
                          &base);
  search->n_gathered = 0;
  enter(s, MV_STAGE_GATHER);
  return status;
}

/* Gathers the probes up to `end`. */
static mv_status gather_until(const mv_step *s, size_t end) {
  mv_search *search = s->search;
  const size_t begin = search->n_gathered;
  search->n_gathered = end;
  return mv_gather_add(s->query, s->segments, s->n_segments, search->chosen, begin, end,
                       &search->postings);
}

/* Appends the best documents so far to the ranked ones; their number. */
static mv_status best_gathered(const mv_step *s, size_t *n) {
  mv_search *search = s->search;
  const size_t limit = least_of(search->plan.n_candidates, s->query->gathering.n_found);
  return mv_gather_best(s->query, s->segments, s->n_segments, search->chosen, limit,
                        mv_first_interacted(limit, search->plan.k),
                        search->places + search->n_ranked, search->scores + search->n_ranked, n);
}

/* How many of n documents are ranked by their codes in any case: all, unless `rankings` have one
 * order for them. A second turn for a query of more blocks than tables are kept of would
 * make tables again. */
static size_t first_interacted(const mv_step *s, size_t n, size_t rankings) {
  if (rankings > 1 || mv_query_blocks(s->query) > MV_TABLES) return n;
  return mv_first_interacted(n, s->search->plan.k);
}

/* Gathers the best ranks and tells of the provisional best, as many as are read in any case. */
static mv_status gather_early(const mv_step *s) {
  mv_search *search = s->search;
  size_t end = 0, n;
  while (end < search->n_probes && search->probes[end].rank < search->plan.early_ranks) end++;
  mv_status status = gather_until(s, end);
  if (status == MV_OK) status = best_gathered(s, &n);
  if (status != MV_OK) return status;
  n = first_interacted(s, n, search->n_rankings + 1);
  mv_tell(s, MV_EVENT_EARLY, search->places + search->n_ranked, n);
  return MV_OK;
}

static mv_status gather(const mv_step *s) {
  mv_search *search = s->search;
  if (mv_waits_for_lists(s)) return MV_OK;
  const int is_last = search->block + 1 == mv_query_blocks(s->query);
  if (search->n_gathered == 0) {
    const mv_status found = mv_gather_find(s->query, s->segments, s->n_segments, search->chosen,
                                           s->allowed, search->probes, search->n_probes);
    if (found != MV_OK) return found;
    if (is_last && search->plan.early_ranks > 0 && search->n_probes > 0) return gather_early(s);
  }
  mv_status status = gather_until(s, search->n_probes);
  size_t n = 0;
  if (status == MV_OK && is_last) status = best_gathered(s, &n);
  if (status != MV_OK) return status;
  search->n_ranked += n;
  search->n_rankings += n > 0;
  search->block = is_last ? 0 : search->block + 1;
  if (is_last) search->segment = next_listed(s, search->segment + 1);
  enter(s, MV_STAGE_PROBE);
  return MV_OK;
}

static mv_status interact(const mv_step *s) {
  mv_search *search = s->search;
  search->n_interacted = first_interacted(s, search->n_ranked, search->n_rankings);
  if (mv_waits_for_records(s, search->places, search->n_interacted)) return MV_OK;
  const mv_status status = mv_interact_first(
      s->query, s->segments, s->n_segments, search->places, search->scores, search->n_ranked,
      search->n_interacted, search->plan.k, search->plan.deviations, &search->n_ranked);
  enter(s, MV_STAGE_INTERACT_REST);
  return status;
}

static mv_status interact_rest(const mv_step *s) {
  mv_search *search = s->search;
  const mv_place *rest = search->places + search->n_interacted;
  const size_t n = search->n_ranked - search->n_interacted;
  if (mv_waits_for_records(s, rest, n)) return MV_OK;
  mv_status status = mv_interact(s->query, s->segments, s->n_segments, rest, n,
                                 search->scores + search->n_interacted);
  if (status == MV_OK)
    status = mv_query_order(s->query, search->places, search->scores, search->n_ranked);
  search->n_ranked = least_of(search->n_ranked, search->plan.n_candidates);
  enter(s, MV_STAGE_CODES);
  return status;
}

/* ---- documents by codes and by scores ---- */

static mv_status codes(const mv_step *s) {
  mv_search *search = s->search;
  for (size_t i = 0; i < s->n_segments; i++) search->chosen[i] = s->ways[i] == MV_BY_CODES;
  const size_t all = mv_documents_in(s->segments, s->n_segments, search->chosen);
  int waits;
  mv_status status = mv_wait_for_codes(s, &waits);
  if (status != MV_OK || waits) return status;
  mv_place *places = search->places + search->n_ranked;
  float *scores = search->scores + search->n_ranked;
  size_t n;
  status = mv_coarse(s->query, s->segments, s->n_segments, search->chosen, s->allowed,
                     least_of(search->plan.n_candidates, all), places, scores, &n);
  if (status == MV_OK && search->n_ranked > 0)
    status = mv_query_order(s->query, search->places, search->scores, search->n_ranked + n);
  if (status != MV_OK) return status;
  search->n_ranked = least_of(search->n_ranked + n, search->plan.n_candidates);
  enter(s, MV_STAGE_SCORES);
  return MV_OK;
}

static mv_status scores(const mv_step *s) {
  mv_search *search = s->search;
  mv_place *places = search->places + search->n_ranked;
  if (!search->is_told)
    memmove(places, search->places + search->room - search->n_others,
            search->n_others * sizeof(mv_place));
  if (mv_waits_for_records(s, places, search->n_others)) return MV_OK;
  search->documents += search->n_others;
  mv_status status = mv_score(s->query, s->segments, s->n_segments, places, search->n_others,
                              search->plan.scores, search->scores + search->n_ranked);
  if (status == MV_OK && search->plan.refines && are_precise(search))
    status = mv_cut(s->query, places, search->scores, search->n_others, search->plan.k,
                    &search->n_others);
  enter(s, MV_STAGE_RANK);
  return status;
}

/* ---- the best ---- */

/* Forgets the ranked documents but the first n. */
static void keep_ranked(mv_search *search, size_t n) {
  memmove(search->places + n, search->places + search->n_ranked,
          search->n_others * sizeof(mv_place));
  memmove(search->scores + n, search->scores + search->n_ranked, search->n_others * sizeof(float));
  search->n_ranked = n;
}

static mv_status rank(const mv_step *s) {
  mv_search *search = s->search;
  if (!search->is_told) {
    search->candidates = search->n_ranked;
    search->n_samples = mv_rank_samples(s->segments, search->places, search->scores,
                                        search->n_ranked, search->plan.k);
  }
  if (mv_waits_for_unverified(s, search->places, search->n_samples)) return MV_OK;
  size_t wanted;
  const mv_status status =
      mv_rank_first(s->query, s->segments, s->n_segments, search->places, search->scores,
                    search->n_ranked, search->n_samples, search->plan.k, search->plan.deviations,
                    search->scores + search->n_ranked, search->n_others, &wanted);
  if (status != MV_OK) return status;
  keep_ranked(search, wanted);
  enter(s, MV_STAGE_RANK_REST);
  return MV_OK;
}

static mv_status rank_rest(const mv_step *s) {
  mv_search *search = s->search;
  if (mv_waits_for_unverified(s, search->places, search->n_ranked)) return MV_OK;
  size_t kept;
  const mv_status status =
      mv_rank_rest(s->query, s->segments, s->n_segments, search->places, search->scores,
                   search->n_ranked, search->n_samples, search->plan.k,
                   search->scores + search->n_ranked, search->n_others, &kept);
  if (status != MV_OK) return status;
  search->documents += search->n_ranked;
  keep_ranked(search, kept);
  enter(s, MV_STAGE_REFINE);
  return MV_OK;
}

static mv_status refine(const mv_step *s) {
  mv_search *search = s->search;
  const mv_status status = mv_refine(s->query, s->segments, s->n_segments, search->places,
                                     search->scores, search->n_ranked + search->n_others,
                                     search->plan.k, search->plan.error, &search->n_ranked);
  search->n_others = 0;
  enter(s, MV_STAGE_END);
  return status;
}

/* ---- public functions ---- */

/* Whether every segment can take part in its way. */
static int ways_fit(const mv_segment *segments, size_t n_segments, const uint8_t *ways) {
  for (size_t i = 0; i < n_segments; i++) {
    if (ways[i] > MV_BY_SCORES || (ways[i] != MV_BY_SCORES && segments[i].codec == NULL) ||
        (ways[i] == MV_BY_LISTS && segments[i].lists == NULL))
      return 0;
  }
  return 1;
}

/* Whether the documents given are of segments found by scores. */
static int are_given(const mv_step *s, const mv_place *given, size_t n) {
  if (!mv_places_fit(s->segments, s->n_segments, given, n)) return 0;
  for (size_t i = 0; i < n; i++) {
    if (s->ways[given[i].segment] != MV_BY_SCORES) return 0;
  }
  return 1;
}

/* The documents that lists and codes may find. */
static size_t most_ranked(const mv_step *s) {
  size_t n = 0, rankings = has_way(s, MV_BY_CODES) != 0;
  for (size_t i = 0; i < s->n_segments; i++) {
    if (s->ways[i] != MV_BY_SCORES) n += s->segments[i].n_documents;
  }
  for (size_t i = next_listed(s, 0); i < s->n_segments; i = next_listed(s, i + 1)) rankings++;
  const size_t each = s->search->plan.n_candidates;
  return each < n / (rankings + 1) ? rankings * each : n;
}

/* Takes the documents given, behind room for the others. */
static mv_status take_given(const mv_step *s, const mv_place *given, size_t n) {
  mv_search *search = s->search;
  search->room = most_ranked(s) + n;
  search->n_others = n;
  search->chosen = mv_query_reserve(s->query, MV_MEMORY_CHOSEN, s->n_segments + 1, 1);
  search->places = mv_query_reserve(s->query, MV_MEMORY_PLACES, search->room + 1, sizeof(mv_place));
  search->scores = mv_query_reserve(s->query, MV_MEMORY_SCORES, search->room + 1, sizeof(float));
  if (search->chosen == NULL || search->places == NULL || search->scores == NULL)
    return MV_ERROR_MEMORY;
  if (n > 0) memcpy(search->places + search->room - n, given, n * sizeof(mv_place));
  return MV_OK;
}

static mv_status (*const stages[])(const mv_step *s) = {
    [MV_STAGE_PROBE] = probe,       [MV_STAGE_GATHER] = gather,
    [MV_STAGE_INTERACT] = interact, [MV_STAGE_INTERACT_REST] = interact_rest,
    [MV_STAGE_CODES] = codes,       [MV_STAGE_SCORES] = scores,
    [MV_STAGE_RANK] = rank,         [MV_STAGE_RANK_REST] = rank_rest,
    [MV_STAGE_REFINE] = refine,
};

/* What the caller may see of a search that waits for nothing. */
static void show(const mv_search *search, mv_progress *progress) {
  progress->stage = (int)search->stage;
  progress->segment = search->segment;
  progress->probes = search->probes;
  progress->n_probes = search->n_probes;
  progress->postings = search->postings;
  progress->candidates = search->candidates;
  progress->documents = search->documents;
  progress->records = search->records;
  if (progress->event > MV_EVENT_END) return; /* it has shown its own */
  progress->places = search->places;
  progress->scores = search->scores;
  progress->n_places = search->n_ranked + (search->stage > MV_STAGE_SCORES ? search->n_others : 0);
}

mv_status mv_search_begin(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *ways, const mv_place *given, size_t n_given,
                          const mv_plan *plan, mv_progress *progress) {
  mv_search *search = &query->search;
  const mv_step s = {query, search, segments, n_segments, ways, NULL, NULL};
  *search = (mv_search){.plan = *plan, .stage = MV_STAGE_END, .n_segments = n_segments};
  if (plan->k < 1 || plan->nprobe < 1 || !mv_query_fits(query, segments, n_segments) ||
      !ways_fit(segments, n_segments, ways) || !are_given(&s, given, n_given))
    return MV_ERROR_ARGUMENT;
  mv_status status = take_given(&s, given, n_given);
  if (status != MV_OK) return status;
  mv_query_near_groups(query, plan->near_groups);
  search->segment = next_listed(&s, 0);
  enter(&s, MV_STAGE_PROBE);
  *progress = (mv_progress){.event = MV_EVENT_STAGE};
  show(search, progress);
  return MV_OK;
}

mv_status mv_search_go_on(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *ways, const uint8_t *const *allowed, int one_stage,
                          mv_progress *progress) {
  mv_search *search = &query->search;
  const mv_step s = {query, search, segments, n_segments, ways, allowed, progress};
  const mv_kernels *kernels = mv_kernels_get();
  mv_status status = MV_OK;
  if (n_segments != search->n_segments) return MV_ERROR_ARGUMENT;
  progress->event = MV_EVENT_STAGE;
  mv_begin_products(kernels, query->padded);
  while (status == MV_OK && search->stage != MV_STAGE_END && progress->event == MV_EVENT_STAGE) {
    status = stages[search->stage](&s);
    if (one_stage) break;
  }
  mv_end_products(kernels);
  if (status != MV_OK) {
    progress->stage = (int)search->stage;
    search->stage = MV_STAGE_END;
    return status;
  }
  if (progress->event == MV_EVENT_STAGE && search->stage == MV_STAGE_END)
    progress->event = MV_EVENT_END;
  show(search, progress);
  return MV_OK;
}
