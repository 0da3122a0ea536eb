/* NEON, which every 64-bit Arm processor has: a register holds 4 lanes. */
#include "kernels.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#include "neon_registers.h"

/* Two products of 128 * 127 at most fit 16 bits. */
MV_INLINE vi neon_dot(vi sum, int8x16_t row, int8x16_t query) {
  const int16x8_t low = vmull_s8(vget_low_s8(row), vget_low_s8(query));
  const int16x8_t high = vmull_s8(vget_high_s8(row), vget_high_s8(query));
  return vpadalq_s16(sum, vpaddq_s16(low, high));
}

#include "lanes.h"

const mv_kernels mv_kernels_neon = MV_KERNELS_TABLE("neon", LANES_STEP, dot7, dot8, NULL, NULL);

#endif
