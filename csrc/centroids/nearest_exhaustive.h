/* Nearest rows (largest dot product) of int8 points among all rows, by blocks of lanes. */
#ifndef MV_CENTROIDS_NEAREST_EXHAUSTIVE_H
#define MV_CENTROIDS_NEAREST_EXHAUSTIVE_H

#include "../mvdb.h"

/* Updates best and arg of n <= MV_LANES_MAX points, points[which[l]], with n_rows rows, the first
 * of which has the number `first`; block is scratch memory of padded * MV_LANES_MAX bytes. best are
 * dot products with the bytes of rows: their zero point, the same for all rows of a point, is left
 * in. */
void mv_nearest_block(const uint8_t *rows, uint32_t first, uint32_t n_rows, size_t padded,
                      const int8_t *points, const uint32_t *which, size_t n, int8_t *block,
                      int32_t *best, uint32_t *arg);

#endif
