/* splitmix64 (Steele, Lea, Flood 2014): the seeded generator behind rotation and training. */
#ifndef MV_BASE_RANDOM_H
#define MV_BASE_RANDOM_H

#include <stdint.h>

static inline uint64_t mv_random_next(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* A number below bound (> 0); the bias of at most bound / 2^64 does not matter here. */
static inline uint64_t mv_random_below(uint64_t *state, uint64_t bound) {
  return mv_random_next(state) % bound;
}

#endif
