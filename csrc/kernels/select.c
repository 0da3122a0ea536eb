/* Chooses the kernel table once, at first use. */
#if defined(_MSC_VER)
#define _CRT_SECURE_NO_WARNINGS /* getenv */
#endif
#include <stdlib.h>
#include <string.h>

#include "../base/cpu.h"
#include "../mvdb.h"
#include "kernels.h"

/* Best first. */
static const struct {
  const mv_kernels *table;
  unsigned features; /* of mv_cpu_features(), all required */
} candidates[] = {
#if defined(MV_HAS_AMX)
    {&mv_kernels_amx, MV_CPU_AMX},
#endif
#if defined(__x86_64__) || defined(_M_X64)
    {&mv_kernels_avx512, MV_CPU_AVX512},
#if defined(MV_HAS_AVXVNNI)
    {&mv_kernels_avxvnni, MV_CPU_AVXVNNI},
#endif
    {&mv_kernels_avx2, MV_CPU_AVX2},
#endif
#if defined(MV_HAS_DOTPROD)
    {&mv_kernels_dotprod, MV_CPU_DOTPROD},
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
    {&mv_kernels_neon, MV_CPU_NEON},
#endif
    {&mv_kernels_scalar, 0},
};

/* The table in use. Every thread that finds NULL stores the same answer, and tables are constant,
 * so that no ordering is needed: only that the pointer is read and written whole. MSVC may lack C11
 * atomics, but reads and writes an aligned volatile pointer whole. */
#if defined(__STDC_NO_ATOMICS__) || (defined(_MSC_VER) && !defined(__clang__))
static const mv_kernels *volatile current;
static const mv_kernels *load(void) { return current; }
static void store(const mv_kernels *table) { current = table; }
#else
#include <stdatomic.h>
static _Atomic(const mv_kernels *) current;
static const mv_kernels *load(void) { return atomic_load_explicit(&current, memory_order_relaxed); }
static void store(const mv_kernels *table) {
  atomic_store_explicit(&current, table, memory_order_relaxed);
}
#endif

/* The best supported table, of that name unless the name is NULL; NULL if there is none. */
static const mv_kernels *find(const char *name) {
  const unsigned features = mv_cpu_features();
  for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
    const mv_kernels *table = candidates[i].table;
    if ((candidates[i].features & ~features) != 0) continue;
    if (name != NULL && strcmp(name, table->name) != 0) continue;
    if (mv_cpu_permit(candidates[i].features)) return table;
  }
  return NULL;
}

const mv_kernels *mv_kernels_get(void) {
  const mv_kernels *table = load();
  if (table == NULL) {
    const char *wanted = getenv("MVDB_ISA");
    if (wanted != NULL) table = find(wanted);
    if (table == NULL) table = find(NULL);
    store(table);
  }
  return table;
}

const char *mv_isa(void) { return mv_kernels_get()->name; }

int mv_isa_select(const char *name) {
  const mv_kernels *table = find(name);
  if (table != NULL) store(table);
  return table != NULL;
}
