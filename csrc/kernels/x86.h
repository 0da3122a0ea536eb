/* What the x86 tables share. */
#ifndef MV_KERNELS_X86_H
#define MV_KERNELS_X86_H

#include "kernels.h"

/* Compilers that know AVX-VNNI; without it such a processor gets the AVX2 table. */
#if defined(__x86_64__) || defined(_M_X64)
#if defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) ? __GNUC__ >= 11 : 1
#define MV_HAS_AVXVNNI 1
extern const mv_kernels mv_kernels_avxvnni;
#endif
#endif

#endif
