/* int8 points: rotated unit vectors as training, assignment and centroid rows quantise them. A
 * centroid row is a point whose bytes are stored plus 128. */
#ifndef MV_VECTORS_POINTS_H
#define MV_VECTORS_POINTS_H

#include "../mvdb.h"

/* int8 units per unit length. After the rotation a dimension has the standard deviation
 * 1 / sqrt(dim); values beyond six of them are rare enough to clip. */
float mv_point_scale(size_t dim);

/* The int8 point of a rotated unit vector. */
void mv_point_quantise(size_t dim, size_t padded, const float *rotated, int8_t *point);

#endif
