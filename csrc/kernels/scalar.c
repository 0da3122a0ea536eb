/* The kernels in plain C: the definition of correct, before it is fast. */
#include <string.h>

#include "../base/rounding.h"
#include "centroid_code.h"
#include "kernels.h"
#include "packed_gaps.h"
#include "set_bits.h"
#include "vector_loops.h"

static void dot(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                size_t lanes, const int32_t *bias, int32_t *out) {
  for (size_t t = 0; t < n; t++) {
    int32_t *sums = out + t * lanes;
    for (size_t l = 0; l < lanes; l++) sums[l] = bias[l];
    for (size_t d = 0; d < dim; d += 4) {
      const uint8_t *x = rows + t * stride + d;
      const int8_t *q = query + d * lanes;
      for (size_t l = 0; l < lanes; l++) {
        sums[l] +=
            x[0] * q[l * 4] + x[1] * q[l * 4 + 1] + x[2] * q[l * 4 + 2] + x[3] * q[l * 4 + 3];
      }
    }
  }
}

static void unpack(const uint8_t *const *packed, size_t n, size_t dim, unsigned bits,
                   const uint8_t levels[16], uint8_t *out) {
  const size_t width = dim * bits / 8;
  const unsigned mask = (1U << bits) - 1;
  for (size_t t = 0; t < n; t++) {
    for (unsigned plane = 0; plane < 8 / bits; plane++) {
      for (size_t j = 0; j < width; j++) {
        const unsigned code = (unsigned)packed[t][j] >> (plane * bits) & mask;
        out[t * dim + plane * width + j] = levels[code];
      }
    }
  }
}

static void interact(const uint8_t *codes, size_t n, size_t code_bytes, const void *index,
                     size_t index_bytes, const uint8_t *table, size_t lanes, uint8_t *best) {
  memset(best, 0, lanes);
  for (size_t t = 0; t < n; t++) {
    const size_t code = mv_code_read(codes, t, code_bytes);
    const uint8_t *row = table + mv_index_read(index, code, index_bytes) * lanes;
    for (size_t l = 0; l < lanes; l++) {
      if (row[l] > best[l]) best[l] = row[l];
    }
  }
}

static void maxsim(const int32_t *dots, size_t n, size_t lanes, const float *a, const float *b,
                   const uint8_t *codes, size_t code_bytes, const int16_t *table, const float *unit,
                   float *best) {
  for (size_t t = 0; t < n; t++) {
    const int16_t *row = table + mv_code_read(codes, t, code_bytes) * lanes;
    for (size_t l = 0; l < lanes; l++) {
      const float centroid = unit[l] * (float)row[l];
      const float direct = a[t] * centroid;
      const float residual = b[t] * (float)dots[t * lanes + l];
      const float v = direct + residual;
      best[l] = v > best[l] ? v : best[l];
    }
  }
}

static float value(const int32_t *centroids, const int32_t *residuals, size_t i, float a, float b) {
  const float centroid = a * (float)centroids[i];
  const float residual = b * (float)residuals[i];
  return centroid + residual;
}

static size_t contenders(const int32_t *centroids, const int32_t *residuals, size_t n, size_t lanes,
                         const float *a, const float *b, float margin, float *best, uint32_t *at) {
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      const float v = value(centroids, residuals, t * lanes + l, a[t], b[t]);
      best[l] = v > best[l] ? v : best[l];
    }
  }
  size_t count = 0;
  for (size_t t = 0; t < n; t++) {
    size_t contends = 0;
    for (size_t l = 0; l < lanes; l++) {
      const float v = value(centroids, residuals, t * lanes + l, a[t], b[t]);
      contends |= v >= best[l] - margin;
    }
    at[count] = (uint32_t)t;
    count += contends;
  }
  return count;
}

static float half_to_float(const uint8_t *p) {
  const uint32_t half = (uint32_t)p[0] | (uint32_t)p[1] << 8;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  uint32_t bits = (half & 0x8000) << 16;
  if (exponent == 0) {
    const float magnitude = (float)mantissa * 0x1p-24f; /* zero or subnormal: exact */
    return bits ? -magnitude : magnitude;
  }
  bits |= mantissa << 13;
  bits |= exponent == 31 ? 0x7f800000U : (exponent + 127 - 15) << 23;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void maxsim_f16(const uint8_t *rows, size_t n, size_t dim, const float *query, size_t lanes,
                       float *best) {
  for (size_t t = 0; t < n; t++) {
    float sum[MV_LANES_MAX] = {0};
    for (size_t d = 0; d < dim; d++) {
      const float x = half_to_float(rows + (t * dim + d) * 2);
      for (size_t l = 0; l < lanes; l++) {
        const float product = x * query[d * lanes + l];
        sum[l] += product;
      }
    }
    for (size_t l = 0; l < lanes; l++) best[l] = sum[l] > best[l] ? sum[l] : best[l];
  }
}

static void argmax(const int32_t *dots, size_t n, size_t lanes, uint32_t first, int32_t *best,
                   uint32_t *arg) {
  for (size_t t = 0; t < n; t++) {
    const uint32_t number = first + (uint32_t)t;
    for (size_t l = 0; l < lanes; l++) {
      const int32_t v = dots[t * lanes + l];
      if (v > best[l] || (v == best[l] && number < arg[l])) {
        best[l] = v;
        arg[l] = number;
      }
    }
  }
}

static void leading(const int32_t *dots, size_t n, int32_t *best, int32_t *bound) {
  const size_t step = (n + MV_LEADING_RUNS - 1) / MV_LEADING_RUNS;
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    int32_t top[MV_LEADING]; /* of the runs' maxima, descending */
    for (size_t i = 0; i < MV_LEADING; i++) top[i] = INT32_MIN;
    for (size_t t = 0; t < n; t += step) {
      int32_t high = INT32_MIN;
      for (size_t row = t; row < n && row < t + step; row++) {
        const int32_t v = dots[row * MV_LANES_MAX + l];
        if (v > high) high = v;
      }
      for (size_t i = 0; i < MV_LEADING; i++) {
        if (high <= top[i]) continue;
        const int32_t rest = top[i];
        top[i] = high;
        high = rest;
      }
    }
    best[l] = top[0];
    bound[l] = top[MV_LEADING - 1];
  }
}

static void above_bits(const int32_t *dots, size_t n, const int32_t *least, uint32_t *out) {
  for (size_t t = 0; t < n; t++) {
    out[t] = 0;
    for (size_t l = 0; l < MV_LANES_MAX; l++) {
      out[t] |= (uint32_t)(dots[t * MV_LANES_MAX + l] > least[l]) << l;
    }
  }
}

static int16_t round_half_away(float x) {
  const int32_t whole = (int32_t)x;
  const float rest = x - (float)whole; /* exact */
  return (int16_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

static void narrow16(const int32_t *dots, size_t n, size_t lanes, const float *scale, int16_t *out,
                     int16_t *low, int16_t *high) {
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      const int16_t v = round_half_away((float)dots[t * lanes + l] * scale[l]);
      out[t * lanes + l] = v;
      if (v < low[l]) low[l] = v;
      if (v > high[l]) high[l] = v;
    }
  }
}

static void narrow8(const int16_t *in, size_t n, size_t lanes, const int16_t *low,
                    const float *scale, uint8_t *out) {
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      const float product = (float)(in[t * lanes + l] - low[l]) * scale[l];
      out[t * lanes + l] = (uint8_t)(int32_t)(product + 0.5f);
    }
  }
}

static size_t above(const int16_t *table, size_t n, size_t lanes, const int16_t *least) {
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      if (table[t * lanes + l] > least[l]) return t;
    }
  }
  return n;
}

static size_t codes_above(const uint8_t *codes, size_t from, size_t to, size_t code_bytes,
                          const void *index, size_t index_bytes, size_t n_rows,
                          const int16_t *table, size_t lanes, const int16_t *least, uint32_t *at) {
  size_t count = 0;
  for (size_t t = from; t < to; t++) {
    const size_t row = mv_index_read(index, mv_code_read(codes, t, code_bytes), index_bytes);
    if (row < n_rows && above(table + row * lanes, 1, lanes, least) == 0) at[count++] = (uint32_t)t;
  }
  return count;
}

static void from_float16(const uint8_t *in, size_t n, float *out) {
  for (size_t i = 0; i < n; i++) out[i] = half_to_float(in + i * 2);
}

/* Drops the last `count` bits, 1 to 31, rounding to nearest even. */
static uint32_t round_off(uint32_t x, unsigned count) {
  const uint32_t half = 1U << (count - 1), rest = x & ((1U << count) - 1), whole = x >> count;
  return whole + (rest > half || (rest == half && (whole & 1)));
}

static uint32_t float_to_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  const uint32_t exponent = magnitude >> 23;
  if (magnitude > 0x7f800000) return sign | 0x7e00; /* not a number */
  if (exponent > 127 + 15) return sign | 0x7c00;    /* infinite, or too large */
  if (exponent > 127 - 15) return sign | round_off(magnitude - ((127U - 15) << 23), 13);
  if (exponent < 127 - 25) return sign; /* less than half of the smallest */
  return sign | round_off((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

static void to_float16(const float *in, size_t n, uint8_t *out) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t half = float_to_half(in[i]);
    out[i * 2] = (uint8_t)(half & 255);
    out[i * 2 + 1] = (uint8_t)(half >> 8);
  }
}

static void hadamard(float *x, size_t n) { hadamard_steps(x, n); }

static void round_bytes(const float *values, size_t n, float scale, int8_t *out) {
  for (size_t i = 0; i < n; i++) out[i] = (int8_t)mv_round_int8(values[i] * scale);
}

static void from_bytes(const uint8_t *bytes, size_t n, int zero, float scale, float *out) {
  for (size_t i = 0; i < n; i++) out[i] = (float)((int)bytes[i] - zero) * scale;
}

static float dot_product(const float *x, const float *y, size_t n) {
  float sums[PARTIAL_SUMS] = {0};
  for (size_t i = 0; i < n; i += PARTIAL_SUMS) {
    for (size_t j = 0; j < PARTIAL_SUMS; j++) sums[j] += x[i + j] * y[i + j];
  }
  return tree_sum(sums);
}

static void products(const float *v, const float *c, const float *w, size_t n, float out[5]) {
  out[0] = dot_product(c, c, n);
  out[1] = dot_product(c, w, n);
  out[2] = dot_product(w, w, n);
  out[3] = dot_product(v, c, n);
  out[4] = dot_product(v, w, n);
}

static float residual(const float *v, const float *c, size_t n, float a, float inverse,
                      float *out) {
  float sums[PARTIAL_SUMS] = {0};
  for (size_t i = 0; i < n; i += PARTIAL_SUMS) {
    for (size_t j = 0; j < PARTIAL_SUMS; j++) {
      const float rest = v[i + j] - a * c[i + j];
      sums[j] += rest * rest;
      out[i + j] = rest * inverse;
    }
  }
  return sequence_sum(sums);
}

static void quantise(const float *values, size_t n, const float *thresholds, size_t n_thresholds,
                     const float levels[16], uint8_t *codes, float *out) {
  for (size_t i = 0; i < n; i++) {
    unsigned count = 0;
    for (size_t k = 0; k < n_thresholds; k++) count += values[i] > thresholds[k];
    codes[i] = (uint8_t)count;
    out[i] = levels[count];
  }
}

static void pack(const int8_t *points, const uint32_t *which, size_t n, size_t padded, size_t lanes,
                 int8_t *block) {
  memset(block, 0, padded * lanes);
  for (size_t l = 0; l < n; l++) {
    const int8_t *point = points + which[l] * padded;
    for (size_t d = 0; d < padded; d += 4) memcpy(block + d * lanes + l * 4, point + d, 4);
  }
}

static uint64_t ascend(const uint8_t *gaps, size_t n, unsigned width, uint64_t first,
                       uint32_t *numbers) {
  return mv_gaps_ascend(gaps, n, width, first, numbers);
}

const mv_kernels mv_kernels_scalar = MV_KERNELS_TABLE("scalar", 8, dot, dot, NULL, NULL);
