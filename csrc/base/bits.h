/* Numbers packed in equal widths of 0 to 32 bits, little-endian, as they are on disk (frozen). */
#ifndef MV_BASE_BITS_H
#define MV_BASE_BITS_H

#include <stddef.h>
#include <stdint.h>

/* Bits that a number needs. */
static inline unsigned mv_bit_width(uint32_t value) {
#if defined(__GNUC__)
  return value == 0 ? 0 : 32 - (unsigned)__builtin_clz(value);
#else
  unsigned width = 0;
  for (; value != 0; value >>= 1) width++;
  return width;
#endif
}

/* Bytes of n packed numbers. */
static inline size_t mv_bits_bytes(size_t n, unsigned width) { return (n * width + 7) / 8; }

/* Writes n numbers of `width` bits; the caller has room for the bytes and they are zero. */
static inline void mv_bits_write(uint8_t *out, const uint32_t *values, size_t n, unsigned width) {
  for (size_t i = 0; i < n; i++) {
    size_t bit = i * width;
    uint64_t value = (uint64_t)values[i] << (bit & 7);
    for (uint8_t *p = out + bit / 8; value != 0; value >>= 8) *p++ |= (uint8_t)value;
  }
}

static inline uint32_t mv_read_u32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t mv_read_u64(const uint8_t *p) {
  return (uint64_t)mv_read_u32(p) | (uint64_t)mv_read_u32(p + 4) << 32; /* one load */
}

/* The number of the lowest bit set. REQUIRES: word is not 0. */
static inline unsigned mv_lowest_bit(uint64_t word) {
#if defined(__GNUC__)
  return (unsigned)__builtin_ctzll(word);
#else
  unsigned bit = 0;
  for (unsigned step = 32; step > 0; step /= 2) {
    if ((word & (((uint64_t)1 << step) - 1)) != 0) continue;
    word >>= step;
    bit += step;
  }
  return bit;
#endif
}

/* How many bits are set: by sums in ever wider fields, in any instruction set. */
static inline unsigned mv_count_bits(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555;
  word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return (unsigned)(word * 0x0101010101010101 >> 56);
}

/* Bytes behind packed numbers that mv_bits_read may read. */
enum { MV_BITS_SLACK = 8 };

static inline void mv_bits_read(const uint8_t *in, size_t n, unsigned width, uint32_t *values) {
  const uint64_t mask = ((uint64_t)1 << width) - 1;
  for (size_t i = 0; i < n; i++) {
    const size_t bit = i * width;
    values[i] = (uint32_t)(mv_read_u64(in + bit / 8) >> (bit & 7) & mask);
  }
}

#endif
