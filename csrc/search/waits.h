/* What the stages of a search wait for: bytes that the caller has not verified, or that may have
 * left the memory since. */
#ifndef MV_SEARCH_WAITS_H
#define MV_SEARCH_WAITS_H

#include "query.h"

/* One call of a search under way. */
typedef struct mv_step {
  mv_query *query;
  mv_search *search;
  const mv_segment *segments;
  size_t n_segments;
  const uint8_t *ways;
  const uint8_t *const *allowed;
  mv_progress *progress;
} mv_step;

/* Tells the caller of n places. */
void mv_tell(const mv_step *s, mv_event event, const mv_place *places, size_t n);

/* Whether the stage, which reads the records of n places, has to wait for them; the caller is told
 * then. A stage waits once. */
int mv_waits_for_records(const mv_step *s, const mv_place *places, size_t n);
/* The same of records that an earlier stage has waited for where they hold codes: whether one of
 * them is not verified. */
int mv_waits_for_unverified(const mv_step *s, const mv_place *places, size_t n);
/* The same of the allowed documents of the chosen segments whose records hold their codes:
 * *waits. */
mv_status mv_wait_for_codes(const mv_step *s, int *waits);
/* The same of the probed lists of the chosen segments. */
int mv_waits_for_lists(const mv_step *s);

#endif
