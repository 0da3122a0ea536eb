/* Nearest rows (largest dot product) of int8 points, by blocks of lanes. */
#ifndef MV_CENTROIDS_NEAREST_EXHAUSTIVE_H
#define MV_CENTROIDS_NEAREST_EXHAUSTIVE_H

#include "../mvdb.h"

enum { MV_NEAREST_ROWS = 32 /* rows a kernel call */ };

/* Room for one block: packed lanes and a tile of dot products. */
typedef struct mv_nearest_space {
  int8_t *block;
  int32_t *dots;
} mv_nearest_space;

mv_status mv_nearest_space_init(mv_nearest_space *space, size_t padded);
void mv_nearest_space_free(mv_nearest_space *space);

/* Updates best and arg (MV_LANES_MAX of each) of up to MV_LANES_MAX points, points[which[l]], with
 * rows first .. last - 1. */
void mv_nearest_block(const mv_nearest_space *space, const uint8_t *rows, uint32_t first,
                      uint32_t last, size_t padded, const int8_t *points, const uint32_t *which,
                      size_t n, int32_t *best, uint32_t *arg);

#endif
