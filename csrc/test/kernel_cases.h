/* What the two test programs of the kernels share: random inputs, and buffers as small as the
 * contract of kernels.h allows, which end where the heap block ends and begin one element into it,
 * so that a sanitiser sees what is read or written beside them and no kernel gets alignment by
 * luck. */
#ifndef MV_TEST_KERNEL_CASES_H
#define MV_TEST_KERNEL_CASES_H

#include <string.h>

#include "../base/random.h"
#include "../kernels/kernels.h"
#include "../mvdb.h"
#include "check.h"
#include "isa_names.h"

static uint64_t seed = 1;

/* A whole number from low to high. */
static inline int64_t draw(int64_t low, int64_t high) {
  return low + (int64_t)mv_random_below(&seed, (uint64_t)(high - low + 1));
}

/* A double holds the product of two floats exactly, and rounds sums so finely that rounding them
 * again gives what rounding once gives. */
static inline float times(float x, float y) { return (float)((double)x * (double)y); }
static inline float plus(float x, float y) { return (float)((double)x + (double)y); }
static inline float minus(float x, float y) { return (float)((double)x - (double)y); }

/* Buffers live until the end of a case. */
static void *held[32];
static size_t n_held;

static inline void *buffer(size_t count, size_t size) {
  char *block = malloc((count + 1) * size);
  if (block == NULL || n_held == sizeof held / sizeof held[0]) abort();
  held[n_held++] = block;
  return block + size;
}

static inline void release(void) {
  while (n_held > 0) free(held[--n_held]);
}

/* A case draws its inputs once, computes what must come out, and gives both to each table. */
static const mv_kernels *tables[N_ISAS];
static size_t n_tables;

static inline void collect_tables(void) {
  for (size_t i = 0; i < N_ISAS; i++) {
    if (!mv_isa_select(isa_names[i])) continue;
    tables[n_tables] = mv_kernels_get();
    CHECK(strcmp(tables[n_tables]->name, isa_names[i]) == 0, "asked for %s", isa_names[i]);
    n_tables++;
  }
}

/* Whether a table has blocks of so many lanes. */
static inline int takes(const mv_kernels *table, size_t lanes) {
  return lanes == MV_LANES_LEAST || lanes % table->lanes_step == 0;
}

static inline void *copy(const void *from, size_t count, size_t size) {
  void *to = buffer(count, size);
  memcpy(to, from, count * size);
  return to;
}

static const size_t some_n[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 67};
enum { N_SOME = sizeof some_n / sizeof some_n[0] };

/* Codes of `code_bytes` bytes, the first and last entry of the table among them. */
static inline uint8_t *draw_codes(size_t n, size_t code_bytes, size_t table_n, size_t *numbers) {
  uint8_t *codes = buffer(n * code_bytes, 1);
  for (size_t t = 0; t < n; t++) {
    numbers[t] = t == 0 ? table_n - 1 : t == 1 ? 0 : (size_t)draw(0, (int64_t)table_n - 1);
    for (size_t j = 0; j < code_bytes; j++) {
      codes[t * code_bytes + j] = (uint8_t)(numbers[t] >> (8 * j));
    }
  }
  return codes;
}

/* The last line, after the names of the tables tested. */
static inline int tables_report(void) {
  for (size_t i = 0; i < n_tables; i++) printf("%s ", tables[i]->name);
  return checks_report();
}

#endif
