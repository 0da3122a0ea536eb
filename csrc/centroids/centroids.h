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

/* Centroids whose numbers follow each other. */
typedef struct mv_run {
  uint32_t first;
  uint32_t n;
} mv_run;

/* The members of a group from place `at` on whose numbers follow each other; at least one. A group
 * is one run, until centroids are added to it. REQUIRES: at < end, the group's end. */
static inline mv_run mv_run_at(const mv_centroids *centroids, uint32_t at, uint32_t end) {
  const uint32_t *members = centroids->members;
  mv_run run = {members[at], 1};
  while (at + run.n < end && members[at + run.n] == run.first + run.n) run.n++;
  return run;
}

/* The centroid of each of n points [n][padded], by two levels (assign_centroids.c): n numbers. */
mv_status mv_centroids_assign(const mv_centroids *centroids, const int8_t *points, size_t n,
                              uint32_t *numbers);

#endif
