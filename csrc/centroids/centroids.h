/* Centroid rows and their groups: immutable once made, shared by threads. */
#ifndef MV_CENTROIDS_CENTROIDS_H
#define MV_CENTROIDS_CENTROIDS_H

#include "../mvdb.h"

typedef struct mv_centroids {
  size_t padded; /* bytes of a row */
  uint32_t n;
  uint32_t n_groups;
  uint8_t *rows;          /* [n][padded], int8 + 128, group after group */
  uint8_t *group_rows;    /* [n_groups][padded] */
  uint32_t *group_starts; /* [n_groups + 1], place of the first row of each group */
  uint32_t *numbers;      /* [n], the centroid whose row is at each place */
  uint32_t *places;       /* [n], the place of each centroid's row */
  void *group_of;         /* [n], the group of each centroid: an index (centroid_code.h) */
  size_t group_of_bytes;  /* of an entry */
  float row_norm;         /* greatest Euclidean length of a row, as integers around 128 */
} mv_centroids;

/* Copies the centroids of a spec, whose numbers and sizes are checked: MV_ERROR_CORRUPT. On failure
 * too mv_centroids_free is called. REQUIRES: 1 <= spec->dim <= MV_MAX_DIM. */
mv_status mv_centroids_init(mv_centroids *centroids, const mv_codec_spec *spec,
                            const mv_codec_sizes *sizes);
void mv_centroids_free(mv_centroids *centroids);

/* The row of a centroid. */
static inline const uint8_t *mv_centroid_row(const mv_centroids *centroids, size_t number) {
  return centroids->rows + centroids->places[number] * centroids->padded;
}

/* The centroid of each of n points [n][padded], by two levels (assign_centroids.c): n numbers. */
mv_status mv_centroids_assign(const mv_centroids *centroids, const int8_t *points, size_t n,
                              uint32_t *numbers);

/* The groups nearest to each centroid, in which points that have it as their centroid are
 * sought. */
struct mv_near_groups {
  size_t wanted;
  uint32_t *groups; /* [n][wanted], by place; UINT32_MAX: none */
};

/* On failure too mv_near_groups_clear is called. */
mv_status mv_near_groups_init(mv_near_groups *near, const mv_centroids *centroids);
void mv_near_groups_clear(mv_near_groups *near);

/* The nearest centroid of points that had others when there were fewer: in `numbers`, below n. */
mv_status mv_centroids_reassign(const mv_centroids *centroids, const mv_near_groups *near,
                                const int8_t *points, size_t n, uint32_t *numbers);

#endif
