/* NEON with the Armv8.2 dot product: only dot7 and dot8 differ from neon.c. */
#include "kernels.h"

#if defined(MV_HAS_DOTPROD)

#include <arm_neon.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include "neon_registers.h"

MV_INLINE vi neon_dot(vi sum, int8x16_t row, int8x16_t query) { return vdotq_s32(sum, row, query); }

#include "lanes.h"

const mv_kernels mv_kernels_dotprod =
    MV_KERNELS_TABLE("dotprod", LANES_STEP, dot7, dot8, NULL, NULL);

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
