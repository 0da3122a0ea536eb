/* What the Arm tables share. */
#ifndef MV_KERNELS_ARM_H
#define MV_KERNELS_ARM_H

#include "kernels.h"

/* Compilers that give a single function the Armv8.2 dot product, or have it for all functions;
 * without it such a processor gets the NEON table. */
#if defined(__aarch64__)
#if defined(__ARM_FEATURE_DOTPROD) ||                                                \
    (defined(__clang__) ? __clang_major__ >= 17 && !defined(__apple_build_version__) \
                        : __GNUC__ >= 8)
#define MV_HAS_DOTPROD 1
extern const mv_kernels mv_kernels_dotprod;
#endif
#endif

#endif
