/* Packing of int8 vectors as lanes of the dot-product kernels (kernels.h). */
#ifndef MV_KERNELS_LANE_PACK_H
#define MV_KERNELS_LANE_PACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Puts one vector of `padded` values into lane `lane` of a packed block and returns the sum of its
 * values, from which a caller makes the bias that undoes a row's zero point. */
static inline int32_t mv_lane_put(int8_t *block, size_t lanes, size_t lane, const int8_t *vector,
                                  size_t padded) {
  int32_t sum = 0;
  for (size_t d = 0; d < padded; d++) sum += vector[d];
  for (size_t d = 0; d < padded; d += 4) memcpy(block + (d * lanes + lane * 4), vector + d, 4);
  return sum;
}

#endif
