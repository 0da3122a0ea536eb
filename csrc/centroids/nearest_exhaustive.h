/* Nearest rows (largest dot product) of int8 points among all rows, by blocks of lanes. */
#ifndef MV_CENTROIDS_NEAREST_EXHAUSTIVE_H
#define MV_CENTROIDS_NEAREST_EXHAUSTIVE_H

#include "../mvdb.h"

/* Packs n points, points[which[l]], as lanes of a block [padded / 4][lanes][4]; bias[l] cancels the
 * zero point of rows. */
void mv_points_pack(const int8_t *points, const uint32_t *which, size_t n, size_t padded,
                    size_t lanes, int8_t *block, int32_t *bias);

/* Updates best and arg of n <= MV_LANES_MAX points, points[which[l]], with n_rows rows, the first
 * of which has the number `first`; block is scratch memory of padded * MV_LANES_MAX bytes. */
void mv_nearest_block(const uint8_t *rows, uint32_t first, uint32_t n_rows, size_t padded,
                      const int8_t *points, const uint32_t *which, size_t n, int8_t *block,
                      int32_t *best, uint32_t *arg);

#endif
