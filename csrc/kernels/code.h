/* Reads one centroid code of a document token. */
#ifndef MV_KERNELS_CODE_H
#define MV_KERNELS_CODE_H

#include <stddef.h>
#include <stdint.h>

/* The code of token t: little-endian, 2 or 3 bytes. Byte by byte, so that the last code of a buffer
 * does not read past it; compilers merge the first two. */
static inline size_t mv_code_at(const uint8_t *codes, size_t t, size_t code_bytes) {
  const uint8_t *p = codes + t * code_bytes;
  const size_t low = (size_t)p[0] | (size_t)p[1] << 8;
  return code_bytes == 3 ? low | (size_t)p[2] << 16 : low;
}

#endif
