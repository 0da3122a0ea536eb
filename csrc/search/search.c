/* A search, stage by stage (mv_stage). A stage that reads bytes which the caller has not verified
 * tells so first, and is called again:
 *
 *   1. probe and gather: for each block of the query, for each codec
 *   2. rank what was found by its codes, and the documents that are found by codes
 *   3. score the documents that are found by scores, then the ranked ones
 *   4. refine the best
 *
 * The documents ranked so far are the first `n_ranked` of an array with room for all; those found by
 * scores follow them. */
#include <string.h>

#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "query.h"
#include "stages.h"

/* One call. */
typedef struct step {
  mv_query *query;
  mv_search *search;
  const mv_segment *segments;
  size_t n_segments;
  const uint8_t *ways;
  const uint8_t *const *allowed;
  mv_progress *progress;
} step;

/* ---- which stage is next ---- */

static int has_way(const step *s, int way) {
  return s->n_segments > 0 && memchr(s->ways, way, s->n_segments) != NULL;
}

/* Whether a segment is found by the lists of a codec. */
static int is_listed(const step *s, size_t at, const mv_codec *codec) {
  return s->ways[at] == MV_BY_LISTS && s->segments[at].codec == codec;
}

/* The first segment from `at` on that is found by lists and has another codec than those before. */
static size_t next_listed(const step *s, size_t at) {
  for (; at < s->n_segments; at++) {
    size_t first = 0;
    while (first < at && !is_listed(s, first, s->segments[at].codec)) first++;
    if (first == at && s->ways[at] == MV_BY_LISTS) break;
  }
  return at;
}

static int has_work(const step *s, mv_stage stage) {
  const mv_search *search = s->search;
  switch (stage) {
    case MV_STAGE_PROBE:
    case MV_STAGE_GATHER:
      return search->segment < s->n_segments;
    case MV_STAGE_INTERACT:
    case MV_STAGE_RANK:
      return search->n_ranked > 0;
    case MV_STAGE_CODES:
      return has_way(s, MV_BY_CODES);
    case MV_STAGE_SCORES:
      return has_way(s, MV_BY_SCORES);
    case MV_STAGE_REFINE:
      return search->plan.refines;
    case MV_STAGE_END:
      break;
  }
  return 1;
}

/* Goes to `stage`, or to the first one behind it that has work. */
static void enter(const step *s, mv_stage stage) {
  while (!has_work(s, stage)) stage = (mv_stage)(stage + 1);
  s->search->stage = stage;
  s->search->is_told = 0;
}

/* ---- what a stage needs ---- */

/* Whether verified bytes may have left the memory. */
static int may_be_lost(const mv_search *search) {
  const uint64_t most = search->plan.most_faults;
  return most == 0 || (most != UINT64_MAX && mv_major_faults() >= most);
}

static void tell(const step *s, mv_event event) {
  s->search->is_told = 1;
  s->progress->event = event;
}

static void tell_places(const step *s, mv_event event, const mv_place *places, size_t n) {
  tell(s, event);
  s->progress->places = places;
  s->progress->n_places = n;
}

/* Whether the records of n places, which a stage reads, are told of now. */
static int tells_records(const step *s, const mv_place *places, size_t n) {
  mv_search *search = s->search;
  if (search->is_told || n == 0) return 0;
  search->records += n;
  size_t i = 0;
  while (i < n && s->segments[places[i].segment].checked[places[i].document]) i++;
  if (i == n && !may_be_lost(search)) return 0;
  tell_places(s, MV_EVENT_RECORDS, places, n);
  return 1;
}

static int are_checked(const mv_lists *lists, const mv_probe *probes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (probes[i].list < lists->n_lists && !lists->checked[probes[i].list / MV_LISTS_BLOCK])
      return 0;
  }
  return 1;
}

/* The same of the probed lists. */
static int tells_lists(const step *s) {
  const mv_search *search = s->search;
  if (search->is_told) return 0;
  int waits = may_be_lost(search);
  for (size_t i = 0; i < s->n_segments && !waits; i++) {
    waits =
        search->chosen[i] && !are_checked(s->segments[i].lists, search->probes, search->n_probes);
  }
  if (waits) tell(s, MV_EVENT_LISTS);
  return waits;
}

/* ---- documents by lists ---- */

static size_t least_of(size_t x, size_t y) { return x < y ? x : y; }

static mv_status probe(const step *s) {
  mv_search *search = s->search;
  const mv_codec *codec = s->segments[search->segment].codec;
  const size_t nprobe = least_of(least_of(search->plan.nprobe, codec->centroids.n), UINT16_MAX);
  search->probes =
      mv_query_reserve(s->query, MV_MEMORY_PROBES, MV_LANES_MAX * nprobe, sizeof(mv_probe));
  if (search->probes == NULL) return MV_ERROR_MEMORY;
  mv_status status = MV_OK;
  if (search->block > 0) {
    mv_gather_block(s->query);
  } else {
    for (size_t i = 0; i < s->n_segments; i++) search->chosen[i] = is_listed(s, i, codec) != 0;
    status = mv_gather_start(s->query, s->segments, s->n_segments, search->chosen);
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
static mv_status gather_until(const step *s, size_t end) {
  mv_search *search = s->search;
  const size_t begin = search->n_gathered;
  search->n_gathered = end;
  return mv_gather(s->query, s->segments, s->n_segments, search->chosen, s->allowed,
                   search->probes + begin, end - begin, &search->postings);
}

/* Appends the best documents so far to the ranked ones; their number. */
static mv_status best_gathered(const step *s, size_t *n) {
  mv_search *search = s->search;
  const size_t limit = least_of(search->plan.n_candidates,
                                mv_documents_in(s->segments, s->n_segments, search->chosen));
  return mv_gather_best(s->query, s->segments, s->n_segments, search->chosen, limit,
                        search->places + search->n_ranked, search->scores + search->n_ranked, n);
}

/* Gathers the best ranks and tells of the provisional best. */
static mv_status gather_early(const step *s) {
  mv_search *search = s->search;
  size_t end = 0, n;
  while (end < search->n_probes && search->probes[end].rank < search->plan.early_ranks) end++;
  mv_status status = gather_until(s, end);
  if (status == MV_OK) status = best_gathered(s, &n);
  if (status == MV_OK) tell_places(s, MV_EVENT_EARLY, search->places + search->n_ranked, n);
  return status;
}

static mv_status gather(const step *s) {
  mv_search *search = s->search;
  if (tells_lists(s)) return MV_OK;
  const int is_last = search->block + 1 == mv_query_blocks(s->query);
  if (is_last && search->plan.early_ranks > 0 && search->n_gathered == 0 && search->n_probes > 0)
    return gather_early(s);
  mv_status status = gather_until(s, search->n_probes);
  size_t n = 0;
  if (status == MV_OK && is_last) status = best_gathered(s, &n);
  if (status != MV_OK) return status;
  search->n_ranked += n;
  search->block = is_last ? 0 : search->block + 1;
  if (is_last) search->segment = next_listed(s, search->segment + 1);
  enter(s, MV_STAGE_PROBE);
  return MV_OK;
}

static mv_status interact(const step *s) {
  mv_search *search = s->search;
  if (tells_records(s, search->places, search->n_ranked)) return MV_OK;
  const mv_status status = mv_interact(s->query, s->segments, s->n_segments, search->places,
                                       search->n_ranked, search->scores);
  search->n_ranked = least_of(search->n_ranked, search->plan.n_candidates);
  enter(s, MV_STAGE_CODES);
  return status;
}

/* ---- documents by codes and by scores ---- */

/* The allowed documents of segments that take part in one way, of those with their codes in their
 * records or of all; their number. */
static size_t list_allowed(const step *s, int way, int inline_alone, mv_place *places) {
  size_t n = 0;
  for (size_t i = 0; i < s->n_segments; i++) {
    if (s->ways[i] != way || (inline_alone && !s->segments[i].inline_codes)) continue;
    for (uint32_t document = 0; document < s->segments[i].n_documents; document++) {
      places[n] = (mv_place){(uint32_t)i, document};
      n += (size_t)mv_is_allowed(s->allowed[i], document);
    }
  }
  return n;
}

static mv_status codes(const step *s) {
  mv_search *search = s->search;
  for (size_t i = 0; i < s->n_segments; i++) search->chosen[i] = s->ways[i] == MV_BY_CODES;
  const size_t all = mv_documents_in(s->segments, s->n_segments, search->chosen);
  mv_place *inside = mv_query_reserve(s->query, MV_MEMORY_SCRATCH, all + 1, sizeof(mv_place));
  if (inside == NULL) return MV_ERROR_MEMORY;
  if (tells_records(s, inside, list_allowed(s, MV_BY_CODES, 1, inside))) return MV_OK;
  mv_place *places = search->places + search->n_ranked;
  float *scores = search->scores + search->n_ranked;
  size_t n;
  const mv_status status =
      mv_coarse(s->query, s->segments, s->n_segments, search->chosen, s->allowed,
                least_of(search->plan.n_candidates, all), places, scores, &n);
  if (status != MV_OK) return status;
  if (search->n_ranked > 0) mv_topk_order(search->places, search->scores, search->n_ranked + n);
  search->n_ranked = least_of(search->n_ranked + n, search->plan.n_candidates);
  enter(s, MV_STAGE_SCORES);
  return MV_OK;
}

static mv_status scores(const step *s) {
  mv_search *search = s->search;
  mv_place *places = search->places + search->n_ranked;
  search->n_others = list_allowed(s, MV_BY_SCORES, 0, places);
  if (tells_records(s, places, search->n_others)) return MV_OK;
  search->documents += search->n_others;
  const mv_status status = mv_score(s->query, s->segments, s->n_segments, places, search->n_others,
                                    search->plan.scores, search->scores + search->n_ranked);
  enter(s, MV_STAGE_RANK);
  return status;
}

/* ---- the best ---- */

/* How many of the ranked documents, from the first one on, are verified. */
static size_t ready(const step *s) {
  const mv_place *places = s->search->places;
  size_t n = 0;
  while (n < s->search->n_ranked && s->segments[places[n].segment].checked[places[n].document]) n++;
  return n;
}

static mv_status rank(const step *s) {
  mv_search *search = s->search;
  size_t wanted, kept;
  const size_t n_ready = ready(s);
  search->candidates = search->n_ranked;
  const mv_status status =
      mv_rank(s->query, s->segments, s->n_segments, search->places, search->scores,
              search->n_ranked, n_ready, search->plan.k, search->plan.deviations,
              search->scores + search->n_ranked, search->n_others, &wanted, &kept);
  if (status != MV_OK) return status;
  if (wanted > n_ready) {
    tell_places(s, MV_EVENT_RECORDS, search->places, wanted);
    return MV_OK;
  }
  search->documents += wanted;
  memmove(search->places + kept, search->places + search->n_ranked,
          search->n_others * sizeof(mv_place));
  memmove(search->scores + kept, search->scores + search->n_ranked,
          search->n_others * sizeof(float));
  search->n_ranked = kept;
  enter(s, MV_STAGE_REFINE);
  return MV_OK;
}

static mv_status refine(const step *s) {
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

/* Room for all documents that a search may rank and score. */
static mv_status reserve(const step *s) {
  mv_search *search = s->search;
  size_t ranked = 0, scored = 0, n_rankings = has_way(s, MV_BY_CODES) != 0;
  for (size_t i = 0; i < s->n_segments; i++) {
    *(s->ways[i] == MV_BY_SCORES ? &scored : &ranked) += s->segments[i].n_documents;
  }
  for (size_t i = next_listed(s, 0); i < s->n_segments; i = next_listed(s, i + 1)) n_rankings++;
  if (search->plan.n_candidates < ranked / (n_rankings + 1))
    ranked = n_rankings * search->plan.n_candidates;
  const size_t room = ranked + scored + 1;
  search->chosen = mv_query_reserve(s->query, MV_MEMORY_CHOSEN, s->n_segments + 1, 1);
  search->places = mv_query_reserve(s->query, MV_MEMORY_PLACES, room, sizeof(mv_place));
  search->scores = mv_query_reserve(s->query, MV_MEMORY_SCORES, room, sizeof(float));
  const int is_reserved =
      search->chosen != NULL && search->places != NULL && search->scores != NULL;
  return is_reserved ? MV_OK : MV_ERROR_MEMORY;
}

static mv_status (*const stages[])(const step *s) = {
    [MV_STAGE_PROBE] = probe,   [MV_STAGE_GATHER] = gather, [MV_STAGE_INTERACT] = interact,
    [MV_STAGE_CODES] = codes,   [MV_STAGE_SCORES] = scores, [MV_STAGE_RANK] = rank,
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
  progress->n_places = search->n_ranked + search->n_others;
}

mv_status mv_search_begin(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *ways, const mv_plan *plan, mv_progress *progress) {
  mv_search *search = &query->search;
  const step s = {query, search, segments, n_segments, ways, NULL, NULL};
  *search = (mv_search){.plan = *plan, .stage = MV_STAGE_END, .n_segments = n_segments};
  if (plan->k < 1 || plan->nprobe < 1 || !mv_query_fits(query, segments, n_segments) ||
      !ways_fit(segments, n_segments, ways))
    return MV_ERROR_ARGUMENT;
  mv_status status = reserve(&s);
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
  const step s = {query, search, segments, n_segments, ways, allowed, progress};
  if (n_segments != search->n_segments) return MV_ERROR_ARGUMENT;
  progress->event = MV_EVENT_STAGE;
  while (search->stage != MV_STAGE_END && progress->event == MV_EVENT_STAGE) {
    const mv_status status = stages[search->stage](&s);
    if (status != MV_OK) {
      progress->stage = (int)search->stage;
      search->stage = MV_STAGE_END;
      return status;
    }
    if (one_stage) break;
  }
  if (progress->event == MV_EVENT_STAGE && search->stage == MV_STAGE_END)
    progress->event = MV_EVENT_END;
  show(search, progress);
  return MV_OK;
}
