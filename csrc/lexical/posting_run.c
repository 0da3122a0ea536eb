#include "posting_run.h"

#include <string.h>

#include "../base/bits.h"
#include "../base/varint.h"

enum { HAS_VALUES = 64, WIDTH = 63, MOST_WIDTH = 32, MOST_REST_WIDTH = 16 };

/* ---- numbers in low bits and high parts ---- */

/* Bytes of the high parts of n numbers. */
static size_t high_bytes(const uint32_t *numbers, uint32_t n, unsigned width) {
  uint64_t bits = n;
  for (uint32_t i = 0; i < n; i++) bits += (uint64_t)numbers[i] >> width;
  return (size_t)((bits + 7) / 8);
}

/* The width that takes least bytes: that of the mean or one beside it. */
static unsigned best_width(const uint32_t *numbers, uint32_t n) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += numbers[i];
  const unsigned mean = mv_bit_width((uint32_t)(sum / n));
  unsigned best = mean;
  size_t least = SIZE_MAX;
  for (unsigned width = mean > 1 ? mean - 2 : 0; width <= mean + 1 && width <= MOST_WIDTH;
       width++) {
    const size_t size = mv_bits_bytes(n, width) + high_bytes(numbers, n, width);
    if (size >= least) continue;
    least = size;
    best = width;
  }
  return best;
}

static uint8_t *write_numbers(uint8_t *at, const uint32_t *numbers, uint32_t n, unsigned width) {
  uint32_t lows[MV_TERMS_RUN];
  const size_t low_size = mv_bits_bytes(n, width), high_size = high_bytes(numbers, n, width);
  memset(at, 0, low_size + high_size);
  for (uint32_t i = 0; i < n; i++) lows[i] = (uint32_t)(numbers[i] & (((uint64_t)1 << width) - 1));
  mv_bits_write(at, lows, n, width);
  at += low_size;
  uint64_t bit = 0;
  for (uint32_t i = 0; i < n; i++, bit++) {
    bit += (uint64_t)numbers[i] >> width;
    at[bit / 8] = (uint8_t)(at[bit / 8] | 1U << bit % 8);
  }
  return at + high_size;
}

/* Reads n numbers at *at. May read MV_TERMS_SLACK bytes behind the end. */
static int read_numbers(const uint8_t **at, const uint8_t *end, uint32_t n, unsigned width,
                        uint64_t *numbers) {
  uint32_t lows[MV_TERMS_RUN], i = 0;
  const size_t low_size = mv_bits_bytes(n, width);
  if (low_size > (size_t)(end - *at)) return 0;
  mv_bits_read(*at, n, width, lows);
  const uint8_t *high = *at + low_size;
  uint64_t next = 0; /* the bit behind the last number */
  for (uint64_t begin = 0; i < n; begin += 64) {
    if (high + begin / 8 >= end) return 0;
    uint64_t word = mv_read_u64(high + begin / 8);
    for (; word != 0 && i < n; word &= word - 1, i++) {
      const uint64_t bit = begin + mv_lowest_bit(word);
      numbers[i] = ((bit - next) << width) | lows[i];
      next = bit + 1;
    }
  }
  const size_t high_size = (size_t)((next + 7) / 8);
  if (high_size > (size_t)(end - high)) return 0;
  *at = high + high_size;
  return 1;
}

/* ---- runs ---- */

size_t mv_run_write(uint8_t *out, uint32_t next, const uint32_t *rows, const uint16_t *values,
                    uint32_t n) {
  uint32_t gaps[MV_TERMS_RUN] = {0}, rests[MV_TERMS_RUN] = {0}, least = UINT32_MAX, greatest = 0;
  for (uint32_t i = 0; i < n; i++) {
    gaps[i] = rows[i] - next;
    next = rows[i] + 1;
    least = values[i] < least ? values[i] : least;
    greatest = values[i] > greatest ? values[i] : greatest;
  }
  const unsigned width = best_width(gaps, n);
  uint8_t *at = out;
  *at++ = (uint8_t)(width | (greatest > 1 ? HAS_VALUES : 0));
  at = write_numbers(at, gaps, n, width);
  if (greatest <= 1) return (size_t)(at - out);
  for (uint32_t i = 0; i < n; i++) rests[i] = values[i] - least;
  const unsigned rest_width = best_width(rests, n);
  at = mv_varint_write(at, least);
  *at++ = (uint8_t)rest_width;
  return (size_t)(write_numbers(at, rests, n, rest_width) - out);
}

static int read_values(const uint8_t **at, const uint8_t *end, uint32_t n, uint16_t *values) {
  uint64_t rests[MV_TERMS_RUN], all = 0;
  uint32_t least;
  if (!mv_varint_read(at, end, &least) || *at == end) return 0;
  const unsigned width = *(*at)++;
  if (least < 1 || width > MOST_REST_WIDTH || !read_numbers(at, end, n, width, rests)) return 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t value = least + rests[i];
    values[i] = (uint16_t)value;
    all |= value;
  }
  return all <= UINT16_MAX;
}

mv_status mv_run_read(const uint8_t *in, size_t size, uint32_t n, uint32_t next, uint32_t n_rows,
                      uint32_t *rows, uint16_t *values) {
  const uint8_t *at = in, *end = in + size;
  uint64_t gaps[MV_TERMS_RUN], row = next;
  if (size < 1 || size > MV_RUN_BYTES) return MV_ERROR_CORRUPT;
  const unsigned form = *at++, width = form & WIDTH;
  if (width > MOST_WIDTH || form > (HAS_VALUES | WIDTH)) return MV_ERROR_CORRUPT;
  if (!read_numbers(&at, end, n, width, gaps)) return MV_ERROR_CORRUPT;
  /* 128 gaps below 2^46: the sum does not overflow, and as it only grows its end bounds it all. */
  for (uint32_t i = 0; i < n; i++) {
    row += gaps[i] + 1;
    rows[i] = (uint32_t)row - 1;
  }
  if (row > n_rows) return MV_ERROR_CORRUPT;
  if (form & HAS_VALUES) {
    if (!read_values(&at, end, n, values)) return MV_ERROR_CORRUPT;
  } else {
    for (uint32_t i = 0; i < n; i++) values[i] = 1;
  }
  return at == end ? MV_OK : MV_ERROR_CORRUPT;
}
