/* What the fuzz targets share: numbers out of bytes. */
#ifndef MV_TEST_FUZZ_INPUT_H
#define MV_TEST_FUZZ_INPUT_H

#include <string.h>

#include "model.h"

/* Bytes that are taken one after the other, zeros at the end. */
typedef struct input {
  const uint8_t *data;
  size_t left;
} input;

static inline uint32_t take(input *in, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (in->left == 0) break;
    value |= (uint32_t)*in->data++ << (8 * i);
    in->left--;
  }
  return value;
}

static inline uint32_t take_below(input *in, uint32_t bound) { return take(in, 4) % bound; }

/* The true number, or now and then any. */
static inline uint32_t take_near(input *in, uint32_t number) {
  return take(in, 1) == 1 ? take(in, 4) : number;
}

static inline uint8_t *take_block(input *in, size_t n) {
  uint8_t *block = room(n, 1);
  const size_t given = n < in->left ? n : in->left;
  if (n == 0) return block;
  memset(block, 0, n);
  if (given > 0) memcpy(block, in->data, given);
  in->data += given;
  in->left -= given;
  return block;
}

#endif
