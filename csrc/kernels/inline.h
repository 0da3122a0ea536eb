/* For the functions that kernels are made of: their loops unroll, and their arrays of registers
 * stay in registers, only where they are inlined with constant arguments. */
#ifndef MV_KERNELS_INLINE_H
#define MV_KERNELS_INLINE_H

#if defined(_MSC_VER) && !defined(__clang__)
#define MV_INLINE static __forceinline
#else
#define MV_INLINE static inline __attribute__((always_inline))
#endif

#endif
