/* AVX2 with AVX-VNNI, for processors that multiply bytes but have no AVX-512: only the dot products
 * differ from avx2.c. */
#include "kernels.h"

#if defined(MV_HAS_AVXVNNI)

#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c,avxvnni"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,f16c,avxvnni")
#endif

#include "avx2_bytes.h"
#include "avx2_registers.h"

#define DOT_REGISTERS 2
#define DOT_ROWS 6
#define DOT_ROWS_NARROW 12
#define DOT8_OFFSET 0

MV_INLINE vi vi_dot(vi sum, vi row, vi query, int row_bits) {
  (void)row_bits;
  return _mm256_dpbusd_avx_epi32(sum, row, query);
}

#include "lanes.h"

const mv_kernels mv_kernels_avxvnni =
    MV_KERNELS_TABLE("avxvnni", LANES_STEP, dot7, dot8, NULL, NULL);

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif
