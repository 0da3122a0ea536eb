/* Loops over the numbers of one vector in plain C, which compilers turn into vector instructions as
 * they stand: scalar.c includes them as the definition, lanes.h under its instruction set. Sums
 * have a fixed number of partial sums, and so the same bits whatever the width of registers. */
#ifndef MV_KERNELS_VECTOR_LOOPS_H
#define MV_KERNELS_VECTOR_LOOPS_H

#include <math.h>
#include <stddef.h>

#include "kernels.h"

enum { PARTIAL_SQUARES = 8, PARTIAL_SUMS = 16 };

/* In double: squares of float32 neither overflow nor vanish. */
static double squared_length(const float *x, size_t n) {
  double sums[PARTIAL_SQUARES] = {0.0};
  size_t d = 0;
  for (; d + PARTIAL_SQUARES <= n; d += PARTIAL_SQUARES) {
    for (size_t j = 0; j < PARTIAL_SQUARES; j++) sums[j] += (double)x[d + j] * (double)x[d + j];
  }
  for (size_t j = 0; d < n; d++, j++) sums[j] += (double)x[d] * (double)x[d];
  for (size_t width = PARTIAL_SQUARES / 2; width > 0; width /= 2) {
    for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
  }
  return sums[0];
}

static double normalise(const float *in, size_t n, float *out) {
  const double square = squared_length(in, n);
  const double scale = isfinite(square) && square > 0.0 ? 1.0 / sqrt(square) : 1.0;
  for (size_t d = 0; d < n; d++) out[d] = (float)((double)in[d] * scale);
  return square;
}

/* The sum of PARTIAL_SUMS partial ones, as a tree. */
MV_INLINE float tree_sum(float *sums) {
  for (size_t width = PARTIAL_SUMS / 2; width > 0; width /= 2) {
    for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
  }
  return sums[0];
}

/* The same, one after the other. */
MV_INLINE float sequence_sum(const float *sums) {
  float sum = 0.0f;
  for (size_t j = 0; j < PARTIAL_SUMS; j++) sum += sums[j];
  return sum;
}

/* The Hadamard transform, step by step. */
MV_INLINE void hadamard_steps(float *x, size_t n) {
  for (size_t half = 1; half < n; half *= 2) {
    for (size_t start = 0; start < n; start += 2 * half) {
      float *low = x + start, *high = low + half;
      for (size_t i = 0; i < half; i++) {
        const float sum = low[i] + high[i];
        high[i] = low[i] - high[i];
        low[i] = sum;
      }
    }
  }
}

#endif
