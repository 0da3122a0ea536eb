#if defined(__linux__)
#define _GNU_SOURCE /* syscall */
#endif
#include "cpu.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)

#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct registers {
  uint32_t eax, ebx, ecx, edx;
} registers;

/* All zero for a leaf that the processor does not have. */
static registers cpuid(uint32_t leaf, uint32_t subleaf) {
  registers r = {0, 0, 0, 0};
#if defined(_MSC_VER)
  int out[4];
  __cpuid(out, 0);
  if ((uint32_t)out[0] < leaf) return r;
  __cpuidex(out, (int)leaf, (int)subleaf);
  r.eax = (uint32_t)out[0];
  r.ebx = (uint32_t)out[1];
  r.ecx = (uint32_t)out[2];
  r.edx = (uint32_t)out[3];
#else
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) {
    r.eax = r.ebx = r.ecx = r.edx = 0;
  }
#endif
  return r;
}

/* The register files that the operating system saves; to be called only when OSXSAVE is set. */
static uint64_t saved_state(void) {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  /* As bytes: the intrinsic would need a target flag. */
  uint32_t low, high;
  __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
#endif
}

static int all(uint64_t value, uint64_t mask) { return (value & mask) == mask; }

#define BIT(n) ((uint64_t)1 << (n))

unsigned mv_cpu_features(void) {
  enum { OSXSAVE = 27, AVX = 28, F16C = 29 };                               /* leaf 1, ecx */
  enum { AVX2 = 5, AVX512F = 16, AVX512BW = 30, AVX512VL = 31, VNNI = 11 }; /* leaf 7, ebx; ecx */
  enum { AMX_TILE = 24, AMX_INT8 = 25 };                                    /* leaf 7, edx */
  enum { AVXVNNI = 4 };                                                     /* leaf 7.1, eax */
  const uint64_t ymm_state = 0x06, zmm_state = 0xe6, tile_state = 0x60000;

  const registers one = cpuid(1, 0);
  if (!all(one.ecx, BIT(OSXSAVE) | BIT(AVX) | BIT(F16C))) return 0;
  const uint64_t state = saved_state();
  const registers seven = cpuid(7, 0);
  if (!all(state, ymm_state) || !all(seven.ebx, BIT(AVX2))) return 0;

  unsigned features = MV_CPU_AVX2;
  if (seven.eax >= 1 && all(cpuid(7, 1).eax, BIT(AVXVNNI))) features |= MV_CPU_AVXVNNI;
  if (all(state, zmm_state) && all(seven.ebx, BIT(AVX512F) | BIT(AVX512BW) | BIT(AVX512VL)) &&
      all(seven.ecx, BIT(VNNI))) {
    features |= MV_CPU_AVX512;
    if (all(state, tile_state) && all(seven.edx, BIT(AMX_TILE) | BIT(AMX_INT8))) {
      features |= MV_CPU_AMX;
    }
  }
  return features;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

#if defined(__linux__)
#include <sys/auxv.h>
#endif

unsigned mv_cpu_features(void) {
#if defined(__APPLE__)
  return MV_CPU_NEON | MV_CPU_DOTPROD; /* every 64-bit Arm Mac has it */
#elif defined(__linux__)
  const unsigned long hwcap_asimddp = 1UL << 20;
  return MV_CPU_NEON | ((getauxval(AT_HWCAP) & hwcap_asimddp) ? MV_CPU_DOTPROD : 0U);
#else
  return MV_CPU_NEON;
#endif
}

#else

unsigned mv_cpu_features(void) { return 0; }

#endif

int mv_cpu_permit(unsigned features) {
  if ((features & MV_CPU_AMX) == 0) return 1;
#if defined(__linux__) && defined(__x86_64__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return 0;
#endif
}
