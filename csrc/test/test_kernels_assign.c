/* The kernels of assignment to centroids: every table against a naive computation. */
#include <stdlib.h>

#include "kernel_cases.h"

/* argmax: values from a narrow range meet often, and the first row may come before or after the
 * rows already seen. */

static void case_argmax(size_t n, size_t lanes, int32_t reach, uint32_t first) {
  int32_t *dots = buffer(n * lanes, 4), *best = buffer(lanes, 4);
  uint32_t *arg = buffer(lanes, 4);
  for (size_t i = 0; i < n * lanes; i++) {
    dots[i] = (int32_t)draw(-reach, reach);
    if (reach == INT32_MAX && draw(0, 9) == 0) dots[i] = INT32_MIN;
  }
  for (size_t l = 0; l < lanes; l++) {
    best[l] = l % 4 ? (int32_t)draw(-reach, reach) : INT32_MIN;
    arg[l] = (uint32_t)draw(0, UINT32_MAX);
  }
  int32_t expected[MV_LANES_MAX];
  uint32_t expected_arg[MV_LANES_MAX];
  for (size_t l = 0; l < lanes; l++) {
    expected[l] = best[l];
    expected_arg[l] = arg[l];
    for (size_t t = n; t-- > 0;) {
      const int32_t v = dots[t * lanes + l];
      const uint32_t number = first + (uint32_t)t;
      if (v == expected[l] && number < expected_arg[l]) expected_arg[l] = number;
      if (v > expected[l]) expected[l] = v, expected_arg[l] = number;
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    int32_t *out = copy(best, lanes, 4);
    uint32_t *out_arg = copy(arg, lanes, 4);
    tables[i]->argmax(dots, n, lanes, first, out, out_arg);
    CHECK(memcmp(out, expected, lanes * 4) == 0 && memcmp(out_arg, expected_arg, lanes * 4) == 0,
          "%s argmax n %zu lanes %zu reach %d", tables[i]->name, n, lanes, reach);
  }
  release();
}

static void test_argmax(void) {
  static const int32_t reaches[] = {0, 1, 3, 50, INT32_MAX};
  for (size_t r = 0; r < sizeof reaches / sizeof reaches[0]; r++) {
    for (size_t j = 0; j < N_SOME; j++) {
      for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
        case_argmax(some_n[j], lanes, reaches[r], 0);
        case_argmax(some_n[j], lanes, reaches[r], (uint32_t)draw(0, UINT32_MAX - 100));
      }
    }
  }
}

/* leading: against the sorted maxima of the runs; and enough products reach the bound. */

static int descending(const void *x, const void *y) {
  const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
  return (a < b) - (a > b);
}

static void case_leading(size_t n, int32_t reach) {
  int32_t *dots = buffer(n * MV_LANES_MAX, 4), *best = buffer(MV_LANES_MAX, 4);
  int32_t *bound = buffer(MV_LANES_MAX, 4), expected[MV_LANES_MAX], expected_best[MV_LANES_MAX];
  for (size_t i = 0; i < n * MV_LANES_MAX; i++) dots[i] = (int32_t)draw(-reach, reach);
  const size_t length = (n + MV_LEADING_RUNS - 1) / MV_LEADING_RUNS;
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    int32_t maxima[MV_LEADING_RUNS];
    size_t n_runs = 0, reaching = 0;
    for (size_t t = 0; t < n; t++) {
      const int32_t v = dots[t * MV_LANES_MAX + l];
      if (t % length == 0) maxima[n_runs++] = v;
      if (v > maxima[n_runs - 1]) maxima[n_runs - 1] = v;
    }
    qsort(maxima, n_runs, sizeof *maxima, descending);
    expected_best[l] = maxima[0];
    expected[l] = n_runs < MV_LEADING ? INT32_MIN : maxima[MV_LEADING - 1];
    for (size_t t = 0; t < n; t++) reaching += dots[t * MV_LANES_MAX + l] >= expected[l];
    CHECK(reaching >= (n < MV_LEADING ? n : MV_LEADING), "n %zu", n);
  }
  for (size_t i = 0; i < n_tables; i++) {
    tables[i]->leading(dots, n, best, bound);
    CHECK(memcmp(best, expected_best, sizeof expected) == 0, "%s leading n %zu", tables[i]->name,
          n);
    CHECK(memcmp(bound, expected, sizeof expected) == 0, "%s bound n %zu", tables[i]->name, n);
  }
  release();
}

static void test_leading(void) {
  for (size_t n = 1; n < 200; n += n < 100 ? 1 : 7) {
    case_leading(n, 3);
    case_leading(n, INT32_MAX);
  }
}

/* above_bits: dots beside their bounds and on them, and bounds that none or all exceed. */

static void case_above_bits(size_t n, int extreme) {
  int32_t *dots = buffer(n * MV_LANES_MAX, 4), *least = buffer(MV_LANES_MAX, 4);
  uint32_t *expected = buffer(n, 4), *out = buffer(n, 4);
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    least[l] = extreme < 0 ? INT32_MIN : extreme > 0 ? INT32_MAX : (int32_t)draw(-100000, 100000);
  }
  for (size_t t = 0; t < n; t++) {
    expected[t] = 0;
    for (size_t l = 0; l < MV_LANES_MAX; l++) {
      const int64_t beside = (int64_t)least[l] + draw(-1, 1);
      const int64_t dot = beside < INT32_MIN ? INT32_MIN : beside > INT32_MAX ? INT32_MAX : beside;
      dots[t * MV_LANES_MAX + l] = (int32_t)dot;
      expected[t] |= (uint32_t)(dot > least[l]) << l;
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    memset(out, 0x55, n * sizeof *out);
    tables[i]->above_bits(dots, n, least, out);
    CHECK(memcmp(out, expected, n * sizeof *out) == 0, "%s above_bits n %zu", tables[i]->name, n);
  }
  release();
}

static void test_above_bits(void) {
  for (size_t j = 0; j < N_SOME; j++) {
    for (int extreme = -1; extreme <= 1; extreme++) case_above_bits(some_n[j], extreme);
  }
}

/* pack: lanes of points in any order, and lanes that stay empty. */

static void case_pack(size_t n, size_t padded, size_t lanes) {
  enum { POINTS = 40 };
  int8_t *points = buffer(POINTS * padded, 1), *expected = buffer(padded * lanes, 1);
  uint32_t *which = buffer(n, 4);
  for (size_t i = 0; i < POINTS * padded; i++) points[i] = (int8_t)draw(-127, 127);
  for (size_t l = 0; l < n; l++) which[l] = l == 0 ? POINTS - 1 : (uint32_t)draw(0, POINTS - 1);
  for (size_t l = 0; l < lanes; l++) {
    for (size_t d = 0; d < padded; d++) {
      expected[d / 4 * lanes * 4 + l * 4 + d % 4] = l < n ? points[which[l] * padded + d] : 0;
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    int8_t *out = buffer(padded * lanes, 1);
    memset(out, 0x55, padded * lanes);
    tables[i]->pack(points, which, n, padded, lanes, out);
    CHECK(memcmp(out, expected, padded * lanes) == 0, "%s pack n %zu padded %zu lanes %zu",
          tables[i]->name, n, padded, lanes);
  }
  release();
}

static void test_pack(void) {
  for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
    for (size_t n = 0; n <= lanes; n++) {
      for (size_t padded = 16; padded <= 144; padded += 32) case_pack(n, padded, lanes);
    }
  }
}

int main(void) {
  collect_tables();
  test_argmax();
  test_leading();
  test_above_bits();
  test_pack();
  return tables_report();
}
