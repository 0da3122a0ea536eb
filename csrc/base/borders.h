/* Borders of consecutive parts: borders[i] .. borders[i + 1] - 1 is part i of n. */
#ifndef MV_BASE_BORDERS_H
#define MV_BASE_BORDERS_H

#include <stdint.h>

/* Whether the n + 1 borders begin with 0 and no part is empty. */
static inline int mv_borders_rise(const uint32_t *borders, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    if (borders[i + 1] <= borders[i]) return 0;
  }
  return borders[0] == 0;
}

/* The part that has x. REQUIRES: borders[0] <= x < borders[n]. */
static inline uint32_t mv_part_of(const uint32_t *borders, uint32_t n, uint32_t x) {
  uint32_t low = 0, high = n;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (borders[middle] <= x) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

#endif
