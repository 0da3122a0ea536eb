/* The kernels that compute with floats: every table against a naive computation, bit for bit. */
#include <float.h>
#include <math.h>

#include "kernel_cases.h"

/* A float of either sign across many magnitudes. */
static float draw_float(void) {
  const double value = ldexp((double)draw(-16777215, 16777215), (int)draw(-40, -10));
  return (float)value;
}

/* maxsim */

static void case_maxsim(size_t n, size_t code_bytes, size_t lanes, int large) {
  const size_t table_n = code_bytes == 3 ? 66000 : 500;
  size_t numbers[67];
  uint8_t *codes = draw_codes(n, code_bytes, table_n, numbers);
  int16_t *table = buffer(table_n * lanes, 2);
  int32_t *dots = buffer(n * lanes, 4);
  float *a = buffer(n, 4), *b = buffer(n, 4), *unit = buffer(lanes, 4), *best = buffer(lanes, 4);
  for (size_t i = 0; i < table_n * lanes; i++) table[i] = (int16_t)draw(-32768, 32767);
  for (size_t i = 0; i < n * lanes; i++) {
    dots[i] = (int32_t)(large ? draw(INT32_MIN, INT32_MAX) : draw(-9, 9));
  }
  for (size_t t = 0; t < n; t++) a[t] = draw_float(), b[t] = t % 5 ? draw_float() : 0.0f;
  for (size_t l = 0; l < lanes; l++) unit[l] = draw_float(), best[l] = l % 3 ? -INFINITY : -0.0f;
  float expected[MV_LANES_MAX];
  memcpy(expected, best, lanes * 4);
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      const float centroid = times(unit[l], (float)table[numbers[t] * lanes + l]);
      const float residual = times(b[t], (float)dots[t * lanes + l]);
      const float v = plus(times(a[t], centroid), residual);
      expected[l] = v > expected[l] ? v : expected[l];
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    float *out = copy(best, lanes, 4);
    tables[i]->maxsim(dots, n, lanes, a, b, codes, code_bytes, table, unit, out);
    CHECK(memcmp(out, expected, lanes * 4) == 0, "%s maxsim n %zu code_bytes %zu lanes %zu",
          tables[i]->name, n, code_bytes, lanes);
  }
  release();
}

static void test_maxsim(void) {
  for (size_t j = 0; j < N_SOME; j++) {
    for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
      case_maxsim(some_n[j], 2, lanes, 0);
      case_maxsim(some_n[j], 2, lanes, 1);
      case_maxsim(some_n[j], 3, lanes, 1);
    }
  }
}

/* contenders: values from a narrow range meet and lie at the bound often */

static void case_contenders(size_t n, size_t lanes, int large, float margin) {
  int32_t *centroids = buffer(n * lanes, 4), *residuals = buffer(n * lanes, 4);
  float *a = buffer(n, 4), *b = buffer(n, 4), *best = buffer(lanes, 4);
  for (size_t i = 0; i < n * lanes; i++) {
    centroids[i] = (int32_t)(large ? draw(INT32_MIN, INT32_MAX) : draw(-9, 9));
    residuals[i] = (int32_t)(large ? draw(INT32_MIN, INT32_MAX) : draw(-9, 9));
  }
  for (size_t t = 0; t < n; t++) {
    a[t] = large ? draw_float() : 0.5f;
    b[t] = large ? draw_float() : (float)draw(0, 2);
  }
  /* As for lanes without a query token: nothing reaches the last of every eight. */
  for (size_t l = 0; l < lanes; l++) best[l] = l % 8 == 7 ? FLT_MAX : l % 3 ? -FLT_MAX : 3.0f;
  float expected[MV_LANES_MAX];
  float *values = buffer(n * lanes, 4);
  uint32_t *expected_at = buffer(n, 4), *at = buffer(n, 4);
  memcpy(expected, best, lanes * 4);
  for (size_t i = 0; i < n * lanes; i++) {
    values[i] =
        plus(times(a[i / lanes], (float)centroids[i]), times(b[i / lanes], (float)residuals[i]));
    if (values[i] > expected[i % lanes]) expected[i % lanes] = values[i];
  }
  size_t count = 0;
  for (size_t t = 0; t < n; t++) {
    int contends = 0;
    for (size_t l = 0; l < lanes; l++) {
      contends |= values[t * lanes + l] >= plus(expected[l], -margin);
    }
    if (contends) expected_at[count++] = (uint32_t)t;
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    float *out = copy(best, lanes, 4);
    const size_t found =
        tables[i]->contenders(centroids, residuals, n, lanes, a, b, margin, out, at);
    CHECK(found == count && memcmp(out, expected, lanes * 4) == 0 &&
              memcmp(at, expected_at, count * 4) == 0,
          "%s contenders n %zu lanes %zu: %zu, not %zu", tables[i]->name, n, lanes, found, count);
  }
  release();
}

static void test_contenders(void) {
  for (size_t j = 0; j < N_SOME; j++) {
    for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
      case_contenders(some_n[j], lanes, 0, 0.0f);
      case_contenders(some_n[j], lanes, 0, 2.5f);
      case_contenders(some_n[j], lanes, 1, 1e-3f);
    }
  }
}

/* maxsim_f16 */

static float half_value(unsigned half) {
  const int exponent = (int)(half >> 10 & 31), mantissa = (int)(half & 1023);
  double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 31) value = mantissa ? (double)NAN : (double)INFINITY;
  return (float)(half >> 15 ? -value : value);
}

enum halves { FINITE, SUBNORMAL, ALL_HALVES, N_HALVES };

static unsigned draw_half(enum halves kind) {
  const unsigned sign = (unsigned)draw(0, 1) << 15;
  return sign | (unsigned)draw(0, kind == SUBNORMAL ? 0x3ff : kind == FINITE ? 0x7bff : 0x7fff);
}

static void case_maxsim_f16(size_t n, size_t dim, size_t lanes, enum halves kind) {
  uint8_t *rows = buffer(n * dim * 2, 1);
  float *query = buffer(dim * lanes, 4), *best = buffer(lanes, 4);
  for (size_t i = 0; i < n * dim; i++) {
    const unsigned half = draw_half(kind);
    rows[i * 2] = (uint8_t)half;
    rows[i * 2 + 1] = (uint8_t)(half >> 8);
  }
  for (size_t i = 0; i < dim * lanes; i++) query[i] = draw_float();
  for (size_t l = 0; l < lanes; l++) best[l] = l % 3 ? -INFINITY : 0.25f;
  float expected[MV_LANES_MAX];
  memcpy(expected, best, lanes * 4);
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      float sum = 0.0f;
      for (size_t d = 0; d < dim; d++) {
        const uint8_t *p = rows + (t * dim + d) * 2;
        sum = plus(sum, times(half_value(p[0] | (unsigned)p[1] << 8), query[d * lanes + l]));
      }
      expected[l] = sum > expected[l] ? sum : expected[l];
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    float *out = copy(best, lanes, 4);
    tables[i]->maxsim_f16(rows, n, dim, query, lanes, out);
    CHECK(memcmp(out, expected, lanes * 4) == 0, "%s maxsim_f16 n %zu dim %zu lanes %zu kind %d",
          tables[i]->name, n, dim, lanes, kind);
  }
  release();
}

/* Each half alone, through a query of ones. */
static void test_every_half(void) {
  float query[MV_LANES_MAX];
  for (size_t l = 0; l < MV_LANES_MAX; l++) query[l] = 1.0f;
  for (size_t i = 0; i < n_tables; i++) {
    int wrong = 0;
    for (unsigned half = 0; half < 65536; half++) {
      const uint8_t row[2] = {(uint8_t)half, (uint8_t)(half >> 8)};
      float best[MV_LANES_MAX], value = half_value(half);
      for (size_t l = 0; l < MV_LANES_MAX; l++) best[l] = -INFINITY;
      if (!(value > -INFINITY)) value = -INFINITY;
      tables[i]->maxsim_f16(row, 1, 1, query, MV_LANES_MAX, best);
      wrong += best[0] != value || best[MV_LANES_MAX - 1] != value;
    }
    CHECK(wrong == 0, "%s: %d halves", tables[i]->name, wrong);
  }
}

static void test_maxsim_f16(void) {
  static const size_t dims[] = {1, 2, 7, 15, 16, 17, 33, 96, 128, 131, 768};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    for (size_t j = 0; j < N_SOME; j++) {
      for (int kind = 0; kind < N_HALVES; kind++) {
        case_maxsim_f16(some_n[j], dims[i], 16, (enum halves)kind);
        case_maxsim_f16(some_n[j], dims[i], 32, (enum halves)kind);
      }
    }
  }
  test_every_half();
}

/* narrow16, narrow8 */

/* Scales of lanes: powers of two, which give exact halves and the floats beside them, and others.
 */
static void draw_narrowing(size_t n, size_t lanes, int32_t *dots, float *scale) {
  for (size_t l = 0; l < lanes; l++) {
    const int shift = (int)draw(9, 25);
    scale[l] = l % 2 ? ldexpf(1.0f, -shift) : ldexpf((float)draw(1, 1 << 24), -shift - 24);
    const int64_t reach = (int64_t)fmin(32767.0 / (double)scale[l], (double)(1 << 28));
    for (size_t t = 0; t < n; t++) {
      const int64_t half = (2 * draw(-32767, 32766) + 1) * ((int64_t)1 << (shift - 1));
      const int64_t near_half = half + draw(-2, 2);
      const int fits = near_half <= reach && near_half >= -reach;
      dots[t * lanes + l] = (int32_t)(fits && t % 2 ? near_half : draw(-reach, reach));
    }
    if (l % 2 && n > 2) dots[l] = (1 << (shift - 1)) - 1, dots[lanes + l] = 1 - (1 << (shift - 1));
  }
}

static void case_narrow16(size_t n, size_t lanes) {
  int32_t *dots = buffer(n * lanes, 4);
  float *scale = buffer(lanes, 4);
  int16_t *expected = buffer(n * lanes, 2), *out = buffer(n * lanes, 2);
  int16_t lows[2][MV_LANES_MAX], highs[2][MV_LANES_MAX];
  draw_narrowing(n, lanes, dots, scale);
  for (size_t l = 0; l < lanes; l++) {
    lows[0][l] = l % 3 ? 32767 : (int16_t)draw(-40, 0);
    highs[0][l] = l % 3 ? -32768 : (int16_t)draw(0, 40);
  }
  memcpy(lows[1], lows[0], sizeof lows[0]);
  memcpy(highs[1], highs[0], sizeof highs[0]);
  for (size_t i = 0; i < n * lanes; i++) {
    const size_t l = i % lanes;
    expected[i] = (int16_t)round((double)times((float)dots[i], scale[l]));
    if (expected[i] < lows[1][l]) lows[1][l] = expected[i];
    if (expected[i] > highs[1][l]) highs[1][l] = expected[i];
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    int16_t *low = copy(lows[0], lanes, 2), *high = copy(highs[0], lanes, 2);
    tables[i]->narrow16(dots, n, lanes, scale, out, low, high);
    CHECK(memcmp(out, expected, n * lanes * 2) == 0, "%s narrow16 n %zu lanes %zu", tables[i]->name,
          n, lanes);
    CHECK(memcmp(low, lows[1], lanes * 2) == 0 && memcmp(high, highs[1], lanes * 2) == 0,
          "%s narrow16 extremes n %zu lanes %zu", tables[i]->name, n, lanes);
  }
  release();
}

static void case_narrow8(size_t n, size_t lanes) {
  int16_t *in = buffer(n * lanes, 2), *low = buffer(lanes, 2);
  float *scale = buffer(lanes, 4);
  uint8_t *expected = buffer(n * lanes, 1), *out = buffer(n * lanes, 1);
  for (size_t l = 0; l < lanes; l++) {
    const int64_t high = l == 0 ? 32767 : draw(-32767, 32767);
    low[l] = (int16_t)(l == 0 ? -32768 : draw(-32768, high - 1));
    scale[l] = 255.0f / (float)(high - low[l]);
    for (size_t t = 0; t < n; t++) {
      const int64_t end = t % 2 ? low[l] : high;
      in[t * lanes + l] = (int16_t)(t < 2 ? end : draw(low[l], high));
    }
  }
  for (size_t i = 0; i < n * lanes; i++) {
    const float product = times((float)(in[i] - low[i % lanes]), scale[i % lanes]);
    expected[i] = (uint8_t)floor((double)plus(product, 0.5f));
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    memset(out, 0x55, n * lanes);
    tables[i]->narrow8(in, n, lanes, low, scale, out);
    CHECK(memcmp(out, expected, n * lanes) == 0, "%s narrow8 n %zu lanes %zu", tables[i]->name, n,
          lanes);
  }
  release();
}

static void test_narrow(void) {
  for (size_t j = 0; j < N_SOME; j++) {
    for (int repeat = 0; repeat < 30; repeat++) {
      case_narrow16(some_n[j], 16);
      case_narrow16(some_n[j], 32);
      case_narrow8(some_n[j], 16);
      case_narrow8(some_n[j], 32);
    }
  }
}

int main(void) {
  collect_tables();
  test_maxsim();
  test_contenders();
  test_maxsim_f16();
  test_narrow();
  return tables_report();
}
