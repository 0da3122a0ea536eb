#include "term_bounds.h"

#include <string.h>

enum {
  MANTISSA = 16,                       /* bits of a float32 that a weight lacks */
  LEAST_BITS = (127 - 16) * (1 << 23), /* 2^-16 as a float32 */
  ANY = 255,                           /* byte of values beyond its range */
  WEIGHT_SHIFT = 4                     /* a byte for 16 values of weights */
};

/* ---- weights ---- */

float mv_value_weight(uint16_t value) {
  const uint32_t bits = LEAST_BITS + ((uint32_t)value << MANTISSA);
  float weight;
  memcpy(&weight, &bits, sizeof weight);
  return weight;
}

uint16_t mv_weight_value(float weight) {
  uint32_t bits;
  memcpy(&bits, &weight, sizeof bits);
  bits += 1U << (MANTISSA - 1);
  if (bits < LEAST_BITS + (1U << MANTISSA)) return 1;
  bits = (bits - LEAST_BITS) >> MANTISSA;
  return (uint16_t)(bits < MV_MOST_WEIGHT_VALUE ? bits : MV_MOST_WEIGHT_VALUE);
}

float mv_terms_greatest_weight(void) { return mv_value_weight(MV_MOST_WEIGHT_VALUE); }

float mv_terms_stored_weight(float weight) { return mv_value_weight(mv_weight_value(weight)); }

/* ---- values and lengths in a byte ---- */

/* Rounded up. */
static uint8_t value_byte(uint32_t value, int has_lengths) {
  if (!has_lengths) value = (value + (1U << WEIGHT_SHIFT) - 1) >> WEIGHT_SHIFT;
  return (uint8_t)(value < ANY ? value : ANY);
}

static uint16_t byte_value(uint8_t byte, int has_lengths) {
  if (byte == ANY) return has_lengths ? UINT16_MAX : MV_MOST_WEIGHT_VALUE;
  return (uint16_t)(has_lengths ? byte : byte << WEIGHT_SHIFT);
}

/* Rounded down: exact below 32, then four bits behind the first. */
static uint8_t length_byte(uint32_t length) {
  unsigned shift = 0;
  while (length >> shift >= 32) shift++;
  return (uint8_t)(shift * 16 + (length >> shift));
}

static uint16_t byte_length(uint8_t byte) {
  if (byte < 32) return byte;
  const unsigned shift = byte / 16U - 1U;
  const uint32_t length = (uint32_t)(byte % 16 + 16) << shift;
  return (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX);
}

/* ---- bounds ---- */

enum { CLASSES = 16 }; /* values from 1 on that the limit is chosen among */

static float gain(float value, float length, float average) {
  return value / (value + 0.3F + 0.9F * length / average);
}

void mv_bounds_write(const uint32_t *rows, const uint16_t *values, uint32_t n,
                     const uint16_t *lengths, float average, uint8_t out[MV_BOUND_BYTES]) {
  uint32_t least[CLASSES + 1], greatest = 0; /* least length of values, those above CLASSES last */
  for (int c = 0; c <= CLASSES; c++) least[c] = UINT16_MAX;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t length = lengths != NULL ? lengths[rows[i]] : 0;
    const int c = values[i] <= CLASSES ? values[i] - 1 : CLASSES;
    least[c] = length < least[c] ? length : least[c];
    greatest = values[i] > greatest ? values[i] : greatest;
  }
  uint32_t above[CLASSES + 1]; /* least length of a class and those above */
  above[CLASSES] = least[CLASSES];
  for (int c = CLASSES; c-- > 0;) above[c] = least[c] < above[c + 1] ? least[c] : above[c + 1];
  uint32_t limit = greatest, limit_length = above[0], rest_length = above[0], lower = UINT16_MAX;
  float lowest = gain((float)greatest, (float)above[0], average);
  for (uint32_t c = 0; lengths != NULL && c < CLASSES && c + 1 < greatest; c++) {
    lower = least[c] < lower ? least[c] : lower;
    const float low = gain((float)(c + 1), (float)lower, average);
    const float high = gain((float)greatest, (float)above[c + 1], average);
    if ((low > high ? low : high) < lowest) {
      lowest = low > high ? low : high;
      limit = c + 1;
      limit_length = lower;
      rest_length = above[c + 1];
    }
  }
  out[0] = value_byte(limit, lengths != NULL);
  out[1] = length_byte(limit_length);
  out[2] = value_byte(greatest, lengths != NULL);
  out[3] = length_byte(rest_length);
}

void mv_bounds_read(const uint8_t in[MV_BOUND_BYTES], int has_lengths, mv_term_bound bounds[2]) {
  for (int i = 0; i < 2; i++) {
    bounds[i].value = byte_value(in[2 * i], has_lengths);
    bounds[i].length = byte_length(in[2 * i + 1]);
  }
}
