/* AVX2 with F16C: a register holds 8 lanes. */
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,f16c")
#endif

#include "avx2_bytes.h"
#include "avx2_registers.h"

#define DOT_REGISTERS 2
#define DOT_ROWS 6
#define DOT_ROWS_NARROW 8
#define DOT8_OFFSET 0

/* Rows of 7 bits: the pairs that vpmaddubsw adds stay within 2 * 127 * 127 and do not saturate.
 * Rows of 8 bits: even and odd bytes apart, widened to 16 bits. The compiler computes the widened
 * query once for all the rows of a tile. */
MV_INLINE vi vi_dot(vi sum, vi row, vi query, int row_bits) {
  if (row_bits == 7) {
    const vi pairs = _mm256_maddubs_epi16(row, query);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  const vi row_even = _mm256_and_si256(row, _mm256_set1_epi16(0xff));
  const vi row_odd = _mm256_srli_epi16(row, 8);
  const vi query_even = _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8);
  const vi query_odd = _mm256_srai_epi16(query, 8);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(row_even, query_even));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(row_odd, query_odd));
}

#include "lanes.h"

const mv_kernels mv_kernels_avx2 = MV_KERNELS_TABLE("avx2", LANES_STEP, dot7, dot8, NULL, NULL);

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif
