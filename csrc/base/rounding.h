/* Rounding to bytes with a sign. */
#ifndef MV_BASE_ROUNDING_H
#define MV_BASE_ROUNDING_H

/* Rounds half away from zero and clips to -127..127; not a number becomes -127. */
static inline int mv_round_int8(float x) {
  /* Clipped before the conversion, without branches, so that loops over it vectorise. */
  float low = x > -127.0f ? x : -127.0f;
  float clipped = low < 127.0f ? low : 127.0f;
  return (int)(clipped + (clipped < 0.0f ? -0.5f : 0.5f));
}

#endif
