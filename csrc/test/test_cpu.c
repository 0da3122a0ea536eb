/* The choice of processor features: of what this processor says, one bit after the other is denied,
 * and no feature may be promised that needs it. */
#define _GNU_SOURCE /* of cpu.c */
#include "check.h"

#if defined(__x86_64__) && !defined(_MSC_VER)

#include <cpuid.h>
#include <stdint.h>
#include <string.h>

#include "../mvdb.h"

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

#if defined(__linux__)

#include <signal.h>

/* The size of a signal stack on which the registers of AVX-512 have room, those of AMX have not. */
enum { SMALL_STACK = 6144 };

static int set_signal_stack(char *stack, int flags) {
  const stack_t wanted = {.ss_sp = stack, .ss_size = SMALL_STACK, .ss_flags = flags};
  return sigaltstack(&wanted, NULL);
}

/* Beside a small signal stack the system refuses AMX, and another set is taken; once AMX is
 * permitted, it refuses such a stack. */
static void test_permission(void) {
  static char stack[SMALL_STACK];
  CHECK(mv_cpu_permit(0) && mv_cpu_permit(MV_CPU_AVX512), "nothing to ask for");
  if ((mv_cpu_features() & MV_CPU_AMX) == 0) return;
  if (set_signal_stack(stack, 0) != 0) return;
  CHECK(!mv_cpu_permit(MV_CPU_AMX), "permitted beside a small stack");
  CHECK(!mv_isa_select("amx") && strcmp(mv_isa(), "amx") != 0, "took %s", mv_isa());
  CHECK(set_signal_stack(stack, SS_DISABLE) == 0, "the stack stays");
  if (!mv_cpu_permit(MV_CPU_AMX)) return; /* refused in any case */
  CHECK(set_signal_stack(stack, 0) != 0, "a small stack beside AMX");
}

#else

static void test_permission(void) {}

#endif

int main(void) {
  test_permission();
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
