/* The choice of processor features: of what this processor says, one bit after the other is denied,
 * and no feature may be promised that needs it. */
#define _GNU_SOURCE /* of cpu.c */
#include "check.h"

#if defined(__x86_64__) && !defined(_MSC_VER)

#include <cpuid.h>
#include <stdint.h>

static struct {
  uint32_t leaf, subleaf, eax, ebx, ecx, edx;
  int whole; /* the leaf does not exist */
} denied;

static int censored_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *eax, uint32_t *ebx,
                          uint32_t *ecx, uint32_t *edx) {
  const int known = __get_cpuid_count(leaf, subleaf, eax, ebx, ecx, edx);
  if (!known || leaf != denied.leaf || subleaf != denied.subleaf) return known;
  *eax &= ~denied.eax;
  *ebx &= ~denied.ebx;
  *ecx &= ~denied.ecx;
  *edx &= ~denied.edx;
  return !denied.whole;
}

#define __get_cpuid_count censored_cpuid
#include "../base/cpu.c"

enum { ALL_AVX = MV_CPU_AVX2 | MV_CPU_AVXVNNI | MV_CPU_AVX512 | MV_CPU_AMX };

static void deny(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
                 uint32_t edx, unsigned lost) {
  denied.leaf = 0;
  const unsigned before = mv_cpu_features();
  denied.leaf = leaf;
  denied.subleaf = subleaf;
  denied.eax = eax;
  denied.ebx = ebx;
  denied.ecx = ecx;
  denied.edx = edx;
  denied.whole = (eax & ebx & ecx) == UINT32_MAX;
  CHECK(mv_cpu_features() == (before & ~lost), "leaf %u.%u: eax %x ebx %x ecx %x edx %x", leaf,
        subleaf, eax, ebx, ecx, edx);
}

int main(void) {
  deny(0, 0, 0, 0, 0, 0, 0);
  for (uint32_t bit = 27; bit <= 29; bit++) deny(1, 0, 0, 0, 1U << bit, 0, ALL_AVX);
  deny(1, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, ALL_AVX);
  deny(7, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, ALL_AVX);
  deny(7, 0, 0, 1U << 5, 0, 0, ALL_AVX);
  deny(7, 0, 0, 1U << 16, 0, 0, MV_CPU_AVX512 | MV_CPU_AMX);
  deny(7, 0, 0, 1U << 30, 0, 0, MV_CPU_AVX512 | MV_CPU_AMX);
  deny(7, 0, 0, 1U << 31, 0, 0, MV_CPU_AVX512 | MV_CPU_AMX);
  deny(7, 0, 0, 0, 1U << 11, 0, MV_CPU_AVX512 | MV_CPU_AMX);
  deny(7, 0, UINT32_MAX, 0, 0, 0, MV_CPU_AVXVNNI);
  deny(7, 1, 1U << 4, 0, 0, 0, MV_CPU_AVXVNNI);
  deny(7, 0, 0, 0, 0, 1U << 24, MV_CPU_AMX);
  deny(7, 0, 0, 0, 0, 1U << 25, MV_CPU_AMX);
  return checks_report();
}

#else

#include "../base/cpu.h"

int main(void) {
  CHECK(mv_cpu_features() == mv_cpu_features(), "the same answer");
  return checks_report();
}

#endif
