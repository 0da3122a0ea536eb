#include "waits.h"

#include "../segment/segment.h"

/* Whether verified bytes may have left the memory. */
static int may_be_lost(const mv_search *search) {
  const uint64_t most = search->plan.most_faults;
  return most == 0 || (most != UINT64_MAX && mv_major_faults() >= most);
}

void mv_tell(const mv_step *s, mv_event event, const mv_place *places, size_t n) {
  s->search->is_told = 1;
  s->progress->event = (int)event;
  s->progress->places = places;
  s->progress->n_places = n;
}

static int are_verified(const mv_step *s, const mv_place *places, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (!s->segments[places[i].segment].checked[places[i].document]) return 0;
  }
  return 1;
}

int mv_waits_for_unverified(const mv_step *s, const mv_place *places, size_t n) {
  if (s->search->is_told || are_verified(s, places, n)) return 0;
  mv_tell(s, MV_EVENT_RECORDS, places, n);
  return 1;
}

int mv_waits_for_records(const mv_step *s, const mv_place *places, size_t n) {
  if (s->search->is_told || n == 0) return 0;
  s->search->records += n;
  if (are_verified(s, places, n) && !may_be_lost(s->search)) return 0;
  mv_tell(s, MV_EVENT_RECORDS, places, n);
  return 1;
}

/* The allowed documents of the chosen segments that have their codes in their records, and are not
 * verified; their number. places: NULL to count them. */
static size_t list_unverified(const mv_step *s, mv_place *places) {
  size_t n = 0;
  for (size_t i = 0; i < s->n_segments; i++) {
    const mv_segment *segment = &s->segments[i];
    if (!s->search->chosen[i] || !segment->inline_codes) continue;
    for (uint32_t document = 0; document < segment->n_documents; document++) {
      if (segment->checked[document] || !mv_is_allowed(s->allowed[i], document)) continue;
      if (places != NULL) places[n] = (mv_place){(uint32_t)i, document};
      n++;
    }
  }
  return n;
}

mv_status mv_wait_for_codes(const mv_step *s, int *waits) {
  const size_t unverified = list_unverified(s, NULL);
  *waits = 0;
  if (unverified == 0) return MV_OK;
  mv_place *told = mv_query_reserve(s->query, MV_MEMORY_SCRATCH, unverified, sizeof(mv_place));
  if (told == NULL) return MV_ERROR_MEMORY;
  *waits = mv_waits_for_records(s, told, list_unverified(s, told));
  return MV_OK;
}

static int lists_are_verified(const mv_lists *lists, const mv_probe *probes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (probes[i].list < lists->n_lists && !lists->checked[probes[i].list / MV_LISTS_BLOCK])
      return 0;
  }
  return 1;
}

int mv_waits_for_lists(const mv_step *s) {
  const mv_search *search = s->search;
  if (search->is_told) return 0;
  int waits = may_be_lost(search);
  for (size_t i = 0; i < s->n_segments && !waits; i++) {
    waits = search->chosen[i] &&
            !lists_are_verified(s->segments[i].lists, search->probes, search->n_probes);
  }
  if (waits) mv_tell(s, MV_EVENT_LISTS, NULL, 0);
  return waits;
}
