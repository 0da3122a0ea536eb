/* Centroid rows and their groups: immutable once made, shared by threads. */
#ifndef MV_CENTROIDS_CENTROIDS_H
#define MV_CENTROIDS_CENTROIDS_H

#include "../mvdb.h"

typedef struct mv_centroids {
  size_t padded; /* bytes of a row */
  uint32_t n;
  uint32_t n_groups;
  uint8_t *rows;          /* [n][padded], int8 + 128 */
  uint8_t *group_rows;    /* [n_groups][padded] */
  uint32_t *group_starts; /* [n_groups + 1], first member of each group */
  uint32_t *members;      /* [n], the centroids by group */
  float row_norm;         /* greatest Euclidean length of a row, as integers around 128 */
} mv_centroids;

/* Copies the centroids of a spec, whose numbers and sizes are checked: MV_ERROR_CORRUPT. On failure
 * too mv_centroids_free is called. REQUIRES: 1 <= spec->dim <= MV_MAX_DIM. */
mv_status mv_centroids_init(mv_centroids *centroids, const mv_codec_spec *spec,
                            const mv_codec_sizes *sizes);
void mv_centroids_free(mv_centroids *centroids);

/* Members of a group whose numbers follow each other: first, first + 1, ... A group is one run, until
 * centroids are added to it. */
typedef struct mv_run {
  uint32_t first;
  uint32_t n;         /* 0: behind the last run */
  uint32_t next, end; /* places of the group's members behind this run */
} mv_run;

static inline mv_run mv_run_from(const mv_centroids *centroids, uint32_t at, uint32_t end) {
  const uint32_t *members = centroids->members;
  mv_run run = {at < end ? members[at] : 0, 0, at, end};
  for (; run.next < end && members[run.next] == run.first + run.n; run.next++) run.n++;
  return run;
}

static inline mv_run mv_first_run(const mv_centroids *centroids, size_t group) {
  const uint32_t *starts = centroids->group_starts;
  return mv_run_from(centroids, starts[group], starts[group + 1]);
}

static inline mv_run mv_next_run(const mv_centroids *centroids, mv_run run) {
  return mv_run_from(centroids, run.next, run.end);
}

/* The centroid of each of n points [n][padded], by two levels (assign_centroids.c): n numbers. */
mv_status mv_centroids_assign(const mv_centroids *centroids, const int8_t *points, size_t n,
                              uint32_t *numbers);

#endif
