/* The kernels of encoding: every table against a naive computation, bit for bit. */
#include <float.h>
#include <math.h>

#include "kernel_cases.h"

static float draw_float(void) { return (float)draw(-1000000, 1000000) / 1048576.0f; }

static float *draw_floats(size_t n) {
  float *values = buffer(n, 4);
  for (size_t i = 0; i < n; i++) values[i] = draw_float();
  return values;
}

/* from_float16, to_float16: all values; and all floats beside them and halfway between them. */

static double value_of(uint32_t half) {
  const int exponent = (int)(half >> 10 & 31);
  const double fraction = (double)(half & 1023) / 1024;
  const double magnitude = exponent == 0    ? ldexp(fraction, -14)
                           : exponent == 31 ? (double)INFINITY
                                            : ldexp(1 + fraction, exponent - 15);
  return half & 0x8000 ? -magnitude : magnitude;
}

static void test_float16(void) {
  enum { FINITE = 0x7c00, ALL = 2 * (FINITE + 1) };
  static uint8_t halves[ALL * 2];
  static float floats[ALL];
  for (uint32_t i = 0; i < ALL; i++) {
    const uint32_t half = i <= FINITE ? i : (i - FINITE - 1) | 0x8000;
    halves[i * 2] = (uint8_t)(half & 255);
    halves[i * 2 + 1] = (uint8_t)(half >> 8);
    floats[i] = (float)value_of(half);
  }
  for (size_t k = 0; k < n_tables; k++) {
    static float wide[ALL];
    static uint8_t narrow[ALL * 2];
    tables[k]->from_float16(halves, ALL, wide);
    CHECK(memcmp(wide, floats, sizeof wide) == 0, "%s from_float16", tables[k]->name);
    tables[k]->to_float16(floats, ALL, narrow);
    CHECK(memcmp(narrow, halves, sizeof narrow) == 0, "%s to_float16", tables[k]->name);
    for (uint32_t half = 0; half < FINITE; half++) {
      /* Behind the greatest one comes what it would be if the exponents went on. */
      const double low = value_of(half), high = half + 1 < FINITE ? value_of(half + 1) : 65536.0;
      const float middle = (float)((low + high) / 2);
      const float in[3] = {nextafterf(middle, 0.0f), middle, -nextafterf(middle, FLT_MAX)};
      const uint32_t even = half % 2 ? half + 1 : half, expected[3] = {half, even, half + 1};
      uint8_t out[6];
      tables[k]->to_float16(in, 3, out);
      for (size_t i = 0; i < 3; i++) {
        const uint32_t got = (uint32_t)out[i * 2] | (uint32_t)out[i * 2 + 1] << 8;
        if (got != (expected[i] | (i == 2 ? 0x8000u : 0)))
          CHECK(0, "%s to_float16 of %g", tables[k]->name, (double)in[i]);
      }
    }
    for (size_t n = 0; n < 40; n++) { /* ends of all lengths */
      const uint8_t *in = copy(halves + 3000, n, 2);
      float *out = buffer(n, 4);
      uint8_t *back = buffer(n, 2);
      tables[k]->from_float16(in, n, out);
      tables[k]->to_float16(out, n, back);
      CHECK(memcmp(out, floats + 1500, n * 4) == 0 && memcmp(back, in, n * 2) == 0,
            "%s float16 n %zu", tables[k]->name, n);
      release();
    }
  }
}

/* normalise: by the kernel of another table to the bit, and close to long doubles. */

static void case_normalise(size_t n, float magnitude) {
  float *in = draw_floats(n), *first = buffer(n, 4);
  for (size_t i = 0; i < n; i++) in[i] *= magnitude;
  const double square = tables[0]->normalise(in, n, first);
  long double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (long double)in[i] * (long double)in[i];
  for (size_t i = 0; i < n; i++) {
    const long double gap = (long double)first[i] - (long double)in[i] / sqrtl(sum);
    CHECK(fabsl(gap) < 1e-7L, "normalise n %zu", n);
  }
  CHECK(fabsl((long double)square / sum - 1) < 1e-12L, "square n %zu", n);
  for (size_t i = 0; i < n_tables; i++) {
    float *out = copy(in, n, 4);
    const double own = tables[i]->normalise(out, n, out);
    CHECK(own == square && memcmp(out, first, n * 4) == 0, "%s normalise n %zu", tables[i]->name,
          n);
  }
  release();
}

static void test_normalise(void) {
  for (size_t n = 1; n <= 144; n += n < 20 ? 1 : 31) {
    case_normalise(n, 1.0f);
    case_normalise(n, 1e-30f);
    case_normalise(n, 1e30f);
  }
  for (size_t i = 0; i < n_tables; i++) {
    const float wrong[3] = {1.0f, NAN, INFINITY}, zero[2] = {0.0f, -0.0f};
    float out[3];
    CHECK(!isfinite(tables[i]->normalise(wrong, 3, out)), "%s", tables[i]->name);
    CHECK(out[0] == 1.0f && isnan(out[1]) && isinf(out[2]), "%s", tables[i]->name);
    CHECK(tables[i]->normalise(zero, 2, out) == 0.0, "%s", tables[i]->name);
    CHECK(memcmp(out, zero, sizeof zero) == 0, "%s", tables[i]->name);
  }
}

/* hadamard: against the matrix, whose entries are the parities of i & j; the inputs are whole, so
 * that no sum is rounded. */

static void test_hadamard(void) {
  for (size_t n = 1; n <= 4096; n *= 2) {
    float *x = buffer(n, 4), *expected = buffer(n, 4);
    for (size_t i = 0; i < n; i++) x[i] = (float)draw(-1000, 1000);
    for (size_t i = 0; i < n; i++) {
      double sum = 0;
      for (size_t j = 0; j < n; j++) {
        size_t common = i & j, parity = 0;
        for (; common != 0; common &= common - 1) parity ^= 1;
        sum += parity ? -(double)x[j] : (double)x[j];
      }
      expected[i] = (float)sum;
    }
    for (size_t i = 0; i < n_tables; i++) {
      float *out = copy(x, n, 4);
      tables[i]->hadamard(out, n);
      CHECK(memcmp(out, expected, n * 4) == 0, "%s hadamard n %zu", tables[i]->name, n);
    }
    release();
  }
  /* With rounding: the same bits from every table. */
  for (size_t n = 2; n <= 256; n *= 2) {
    const float *x = draw_floats(n);
    float *expected = copy(x, n, 4);
    tables[0]->hadamard(expected, n);
    for (size_t i = 1; i < n_tables; i++) {
      float *out = copy(x, n, 4);
      tables[i]->hadamard(out, n);
      CHECK(memcmp(out, expected, n * 4) == 0, "%s hadamard n %zu", tables[i]->name, n);
    }
    release();
  }
}

/* round_bytes: values on and beside the borders between bytes, too large ones, and none. */

static void case_round_bytes(size_t n) {
  float *values = buffer(n, 4);
  int8_t *expected = buffer(n, 1), *out = buffer(n, 1);
  for (size_t i = 0; i < n; i++) {
    values[i] = (float)draw(-300, 300) / 4;
    if (i % 9 == 0) values[i] = i % 2 ? INFINITY : -INFINITY;
    if (i % 11 == 0) values[i] = NAN;
    if (i % 13 == 0) values[i] = -0.0f;
    const double x = isnan(values[i]) ? -127 : round((double)values[i] * 2);
    expected[i] = (int8_t)(x < -127 ? -127 : x > 127 ? 127 : x);
  }
  for (size_t i = 0; i < n_tables; i++) {
    memset(out, 0x55, n);
    tables[i]->round_bytes(values, n, 2.0f, out);
    CHECK(memcmp(out, expected, n) == 0, "%s round_bytes n %zu", tables[i]->name, n);
  }
  release();
}

/* from_bytes: all bytes. */
static void test_from_bytes(void) {
  uint8_t bytes[256];
  float expected[256];
  for (size_t i = 0; i < 256; i++) {
    bytes[i] = (uint8_t)i;
    expected[i] = times((float)((int)i - 77), 0.1f);
  }
  for (size_t i = 0; i < n_tables; i++) {
    for (size_t n = 16; n <= 256; n += 48) {
      float *out = buffer(n, 4);
      tables[i]->from_bytes(copy(bytes, n, 1), n, 77, 0.1f, out);
      CHECK(memcmp(out, expected, n * 4) == 0, "%s from_bytes n %zu", tables[i]->name, n);
      release();
    }
  }
}

/* products, residual */

static float dot_of(const float *x, const float *y, size_t n) {
  float sums[16] = {0};
  for (size_t i = 0; i < n; i++) sums[i % 16] = plus(sums[i % 16], times(x[i], y[i]));
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t j = 0; j < half; j++) sums[j] = plus(sums[j], sums[j + half]);
  }
  return sums[0];
}

static void case_products(size_t n) {
  const float *v = draw_floats(n), *c = draw_floats(n), *w = draw_floats(n);
  const float expected[5] = {dot_of(c, c, n), dot_of(c, w, n), dot_of(w, w, n), dot_of(v, c, n),
                             dot_of(v, w, n)};
  for (size_t i = 0; i < n_tables; i++) {
    float out[5];
    tables[i]->products(v, c, w, n, out);
    CHECK(memcmp(out, expected, sizeof out) == 0, "%s products n %zu", tables[i]->name, n);
  }
  release();
}

static void case_residual(size_t n) {
  const float *v = draw_floats(n), *c = draw_floats(n);
  float *expected = buffer(n, 4), *out = buffer(n, 4);
  const float a = draw_float(), inverse = draw_float();
  float sums[16] = {0}, square = 0.0f;
  for (size_t i = 0; i < n; i++) {
    const float rest = minus(v[i], times(a, c[i]));
    sums[i % 16] = plus(sums[i % 16], times(rest, rest));
    expected[i] = times(rest, inverse);
  }
  for (size_t j = 0; j < 16; j++) square = plus(square, sums[j]);
  for (size_t i = 0; i < n_tables; i++) {
    memset(out, 0x55, n * 4);
    CHECK(tables[i]->residual(v, c, n, a, inverse, out) == square, "%s residual n %zu",
          tables[i]->name, n);
    CHECK(memcmp(out, expected, n * 4) == 0, "%s residual n %zu", tables[i]->name, n);
  }
  release();
}

/* quantise: values beside a threshold, on it, infinite, and none. */

static void case_quantise(size_t n, size_t n_thresholds) {
  float *values = buffer(n, 4), *thresholds = buffer(n_thresholds, 4);
  float *levels = draw_floats(16), *expected_levels = buffer(n, 4), *out = buffer(n, 4);
  uint8_t *expected = buffer(n, 1), *codes = buffer(n, 1);
  for (size_t k = 0; k < n_thresholds; k++) thresholds[k] = (float)draw(-100, 100) / 4;
  for (size_t i = 0; i < n; i++) {
    values[i] = (float)draw(-110, 110) / 4;
    if (i % 9 == 0) values[i] = i % 2 ? INFINITY : -INFINITY;
    if (i % 11 == 0) values[i] = NAN;
    expected[i] = 0;
    for (size_t k = 0; k < n_thresholds; k++)
      expected[i] = (uint8_t)(expected[i] + (values[i] > thresholds[k]));
    expected_levels[i] = levels[expected[i]];
  }
  for (size_t i = 0; i < n_tables; i++) {
    memset(codes, 255, n);
    memset(out, 0x55, n * 4);
    tables[i]->quantise(values, n, thresholds, n_thresholds, levels, codes, out);
    CHECK(memcmp(codes, expected, n) == 0 && memcmp(out, expected_levels, n * 4) == 0,
          "%s quantise n %zu by %zu", tables[i]->name, n, n_thresholds);
    memcpy(out, values, n * 4); /* in place */
    tables[i]->quantise(out, n, thresholds, n_thresholds, levels, codes, out);
    CHECK(memcmp(out, expected_levels, n * 4) == 0, "%s quantise n %zu in place", tables[i]->name,
          n);
  }
  release();
}

int main(void) {
  collect_tables();
  test_float16();
  test_normalise();
  test_hadamard();
  test_from_bytes();
  for (size_t n = 16; n <= 144; n += 16) {
    case_round_bytes(n);
    case_products(n);
    case_residual(n);
    for (size_t n_thresholds = 1; n_thresholds <= 15; n_thresholds += 2) {
      case_quantise(n, n_thresholds);
    }
  }
  return tables_report();
}
