/* Numbers of 32 bits in 1 to 5 bytes, as they are on disk (frozen): 7 bits a byte, the lowest
 * first; bit 7 set in all bytes but the last. */
#ifndef MV_BASE_VARINT_H
#define MV_BASE_VARINT_H

#include <stdint.h>

enum { MV_VARINT_BYTES = 5 };

/* Reads a number at *at, before end; 0 when it is cut off or has more than 32 bits. */
static inline int mv_varint_read(const uint8_t **at, const uint8_t *end, uint32_t *value) {
  uint32_t result = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (*at == end) return 0;
    uint8_t byte = *(*at)++;
    if (shift == 28 && byte > 15) return 0; /* so that there is no sixth */
    result |= (uint32_t)(byte & 127) << shift;
    if (byte < 128) {
      *value = result;
      return 1;
    }
  }
}

/* Writes a number; the byte behind it. */
static inline uint8_t *mv_varint_write(uint8_t *at, uint32_t value) {
  for (; value >= 128; value >>= 7) *at++ = (uint8_t)(value | 128);
  *at++ = (uint8_t)value;
  return at;
}

#endif
