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

/* Rounds half away from zero and clips to -127..127; not a number becomes -127. */
static inline int mv_round_int8(float x) {
  /* Clipped before the conversion, without branches, so that loops over it vectorise. */
  float low = x > -127.0f ? x : -127.0f;
  float clipped = low < 127.0f ? low : 127.0f;
  return (int)(clipped + (clipped < 0.0f ? -0.5f : 0.5f));
}

#endif
