/* Sets of numbers, number i being bit i % 64 of word i / 64: the definitions of `count_bits`,
 * `count_before` and `ranks` in kernels.h, of every instruction set. Compilers make one instruction
 * of mv_count_bits where there is one. */
#ifndef MV_KERNELS_SET_BITS_H
#define MV_KERNELS_SET_BITS_H

#include "../base/bits.h"

static void count_bits(const uint64_t *words, size_t n, size_t counts[2]) {
  size_t first = 0, second = 0;
  for (size_t i = 0; i < n; i++) {
    first += mv_count_bits(words[2 * i]);
    second += mv_count_bits(words[2 * i + 1]);
  }
  counts[0] = first;
  counts[1] = second;
}

static size_t count_before(const uint64_t *words, size_t n, uint32_t *before) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    before[i] = (uint32_t)count;
    count += mv_count_bits(words[i]);
  }
  return count;
}

static void ranks(const uint64_t *words, const uint32_t *before, uint32_t *numbers, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t word = numbers[i] / 64;
    const uint64_t lower = ((uint64_t)1 << numbers[i] % 64) - 1;
    numbers[i] = before[word] + mv_count_bits(words[word] & lower);
  }
}

#endif
