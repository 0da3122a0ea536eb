/* The centroid code of a document token on disk: little-endian, 2 or 3 bytes (frozen); and an index
 * by codes. */
#ifndef MV_KERNELS_CENTROID_CODE_H
#define MV_KERNELS_CENTROID_CODE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The code of token t. Byte by byte, so that the last code of a buffer does not read past the
 * buffer; compilers merge the first two loads. */
static inline size_t mv_code_read(const uint8_t *codes, size_t t, size_t code_bytes) {
  const uint8_t *p = codes + t * code_bytes;
  const size_t low = (size_t)p[0] | (size_t)p[1] << 8;
  return code_bytes == 3 ? low | (size_t)p[2] << 16 : low;
}

static inline void mv_code_write(uint8_t *codes, size_t t, size_t code_bytes, uint32_t code) {
  uint8_t *p = codes + t * code_bytes;
  p[0] = (uint8_t)(code & 255);
  p[1] = (uint8_t)(code >> 8 & 255);
  if (code_bytes == 3) p[2] = (uint8_t)(code >> 16 & 255);
}

/* An index has integers below a limit, of 2 bytes if these are enough, else of 4. */
static inline size_t mv_index_bytes(size_t limit) {
  return limit <= UINT16_MAX + 1 ? sizeof(uint16_t) : sizeof(uint32_t);
}

static inline size_t mv_index_read(const void *index, size_t i, size_t index_bytes) {
  return index_bytes == 2 ? ((const uint16_t *)index)[i] : ((const uint32_t *)index)[i];
}

static inline void mv_index_write(void *index, size_t i, size_t index_bytes, size_t value) {
  if (index_bytes == 2) {
    ((uint16_t *)index)[i] = (uint16_t)value;
  } else {
    ((uint32_t *)index)[i] = (uint32_t)value;
  }
}

/* Copies the n integers of an index into one of entries as long or longer. */
static inline void mv_index_copy(void *to, size_t to_bytes, const void *from, size_t from_bytes,
                                 size_t n) {
  if (to_bytes == from_bytes) {
    memcpy(to, from, n * to_bytes);
  } else {
    for (size_t i = 0; i < n; i++)
      mv_index_write(to, i, to_bytes, mv_index_read(from, i, from_bytes));
  }
}

#endif
