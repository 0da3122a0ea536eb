/* The gaps between ascending numbers, packed in equal widths (base/bits.h): the definition of
 * `ascend` in kernels.h. */
#ifndef MV_KERNELS_PACKED_GAPS_H
#define MV_KERNELS_PACKED_GAPS_H

#include "../base/bits.h"

static inline uint64_t mv_gaps_ascend(const uint8_t *gaps, size_t n, unsigned width, uint64_t first,
                                      uint32_t *numbers) {
  mv_bits_read(gaps, n, width, numbers);
  for (size_t i = 0; i < n; i++) {
    first += (uint64_t)numbers[i] + 1;
    numbers[i] = (uint32_t)first - 1;
  }
  return first;
}

#endif
