/* AVX-512 with VNNI: a register holds 16 lanes. */
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,f16c"))), \
                             apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vnni,f16c,prefer-vector-width=512")
#endif

#include "avx512_registers.h"
#include "lanes.h"

const mv_kernels mv_kernels_avx512 = MV_KERNELS_TABLE("avx512", LANES_STEP, dot7, dot8, NULL, NULL);

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif
