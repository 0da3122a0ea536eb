#include "posting_run.h"

#include <string.h>

#include "../base/bits.h"
#include "../base/varint.h"

enum { HAS_VALUES = 64, WIDTH = 63, MOST_WIDTH = 32, MOST_VALUE = UINT16_MAX };

static uint8_t *write_packed(uint8_t *at, const uint32_t *numbers, uint32_t n, unsigned width) {
  const size_t bytes = mv_bits_bytes(n, width);
  memset(at, 0, bytes);
  mv_bits_write(at, numbers, n, width);
  return at + bytes;
}

size_t mv_run_write(uint8_t *out, uint32_t next, const uint32_t *rows, const uint16_t *values,
                    uint32_t n) {
  uint32_t gaps[MV_TERMS_RUN], rests[MV_TERMS_RUN], all = 0, least = UINT32_MAX, greatest = 0;
  for (uint32_t i = 0; i < n; i++) {
    gaps[i] = rows[i] - next;
    next = rows[i] + 1;
    all |= gaps[i];
    least = values[i] < least ? values[i] : least;
    greatest = values[i] > greatest ? values[i] : greatest;
  }
  const unsigned width = mv_bit_width(all), rest_width = mv_bit_width(greatest - least);
  uint8_t *at = out;
  *at++ = (uint8_t)(width | (greatest > 1 ? HAS_VALUES : 0));
  if (greatest > 1) {
    at = mv_varint_write(at, least);
    *at++ = (uint8_t)rest_width;
  }
  at = write_packed(at, gaps, n, width);
  if (greatest > 1) {
    for (uint32_t i = 0; i < n; i++) rests[i] = values[i] - least;
    at = write_packed(at, rests, n, rest_width);
  }
  return (size_t)(at - out);
}

/* Reads n values at *at; rests may be read behind the end by MV_TERMS_SLACK bytes. */
static mv_status read_values(const uint8_t *in, const uint8_t *end, uint32_t n, uint32_t least,
                             unsigned width, uint16_t *values) {
  uint32_t rests[MV_TERMS_RUN], all = 0;
  if (mv_bits_bytes(n, width) != (size_t)(end - in)) return MV_ERROR_CORRUPT;
  mv_bits_read(in, n, width, rests);
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t value = least + rests[i];
    values[i] = (uint16_t)value;
    all |= value;
  }
  return all > MOST_VALUE ? MV_ERROR_CORRUPT : MV_OK;
}

mv_status mv_run_read(const uint8_t *in, size_t size, uint32_t n, uint32_t next, uint32_t n_rows,
                      uint32_t *rows, uint16_t *values) {
  const uint8_t *at = in, *end = in + size;
  if (size < 1) return MV_ERROR_CORRUPT;
  const unsigned form = *at++, width = form & WIDTH;
  uint32_t least = 1;
  unsigned rest_width = 0;
  if (width > MOST_WIDTH || form > (HAS_VALUES | WIDTH)) return MV_ERROR_CORRUPT;
  if (form & HAS_VALUES) {
    if (!mv_varint_read(&at, end, &least) || at == end) return MV_ERROR_CORRUPT;
    rest_width = *at++;
    if (least < 1 || least > MOST_VALUE || rest_width > 16) return MV_ERROR_CORRUPT;
  }
  const size_t bytes = mv_bits_bytes(n, width);
  if (bytes > (size_t)(end - at)) return MV_ERROR_CORRUPT;
  mv_bits_read(at, n, width, rows);
  /* 128 gaps below 2^32: the sum does not overflow, and as it only grows its end bounds it all. */
  uint64_t row = next;
  for (uint32_t i = 0; i < n; i++) {
    row += (uint64_t)rows[i] + 1;
    rows[i] = (uint32_t)row - 1;
  }
  if (row > n_rows) return MV_ERROR_CORRUPT;
  return read_values(at + bytes, end, n, least, rest_width, values);
}
