/* The kernels that treat each lane alike, for every instruction set, in terms of a few operations
 * on one vector register. Included once by each file that defines them, under that file's target:
 *
 *   vf, vi, vm           W lanes of float, of int32, of truth values; W is a constant
 *   vf_load, vf_store, vf_set1, vf_add, vf_mul
 *   vf_max(v, best)      v > best ? v : best
 *   vf_signed(m, s)      the magnitude m with the sign of s
 *   vf_of(vi)            conversion to float, to nearest even
 *   vi_load, vi_store, vi_set1, vi_sub, vi_min, vi_max
 *   vi_trunc(vf)         conversion towards zero
 *   vi_load16            W values of int16, sign-extended
 *   vi_store16, vi_store8  to int16, to uint8; the values fit
 *   vi_gt, vi_select(m, a, b)    m ? a : b
 *   widen_f16(in, out)   16 binary16 values to 16 floats
 *
 * Loads and stores are unaligned. Products and sums are separate operations: a fused
 * multiply-add would round differently. */
#include <string.h>

#include "code.h"
#include "inline.h"
#include "kernels.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

enum { REGISTERS = MV_LANES_MAX / W };

/* maxsim */

MV_INLINE void maxsim_lanes(const int32_t *dots, size_t n, size_t lanes, const float *a,
                            const float *b, const uint8_t *codes, size_t code_bytes,
                            const int16_t *table, const float *unit, float *best) {
  vf high[REGISTERS], units[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    high[v] = vf_load(best + v * W);
    units[v] = vf_load(unit + v * W);
  }
  for (size_t t = 0; t < n; t++) {
    const int16_t *row = table + mv_code_at(codes, t, code_bytes) * lanes;
    const vf at = vf_set1(a[t]), bt = vf_set1(b[t]);
    for (size_t v = 0; v < lanes / W; v++) {
      const vf centroid = vf_mul(units[v], vf_of(vi_load16(row + v * W)));
      const vf residual = vf_mul(bt, vf_of(vi_load(dots + t * lanes + v * W)));
      high[v] = vf_max(vf_add(vf_mul(at, centroid), residual), high[v]);
    }
  }
  for (size_t v = 0; v < lanes / W; v++) vf_store(best + v * W, high[v]);
}

static void maxsim(const int32_t *dots, size_t n, size_t lanes, const float *a, const float *b,
                   const uint8_t *codes, size_t code_bytes, const int16_t *table, const float *unit,
                   float *best) {
  if (lanes == MV_LANES_MAX) {
    maxsim_lanes(dots, n, MV_LANES_MAX, a, b, codes, code_bytes, table, unit, best);
  } else {
    maxsim_lanes(dots, n, MV_LANES_MIN, a, b, codes, code_bytes, table, unit, best);
  }
}

/* maxsim_f16 */

enum { F16_STEP = 32, F16_ROWS = 4, F16_REGISTERS = 2 };

/* `count` values, at most F16_STEP, to floats; nothing beyond them is read. */
MV_INLINE void widen_some(const uint8_t *in, size_t count, float out[F16_STEP]) {
  uint8_t whole[F16_STEP * 2] = {0};
  if (count < F16_STEP) {
    memcpy(whole, in, count * 2);
    in = whole;
  }
  for (size_t i = 0; i < F16_STEP; i += 16) widen_f16(in + i * 2, out + i);
}

/* `rows_n` rows times `registers` registers of lanes, enough sums to hide the latency of the add,
 * which must follow the order of the dimensions. */
MV_INLINE void f16_tile(const uint8_t *rows, size_t dim, const float *query, size_t lanes,
                        float *best, size_t rows_n, size_t registers) {
  vf sum[F16_ROWS * F16_REGISTERS][F16_REGISTERS];
  for (size_t r = 0; r < rows_n; r++) {
    for (size_t v = 0; v < registers; v++) sum[r][v] = vf_set1(0.0f);
  }
  for (size_t start = 0; start < dim; start += F16_STEP) {
    const size_t count = dim - start < F16_STEP ? dim - start : F16_STEP;
    float x[F16_ROWS * F16_REGISTERS][F16_STEP];
    for (size_t r = 0; r < rows_n; r++) widen_some(rows + (r * dim + start) * 2, count, x[r]);
    for (size_t d = 0; d < count; d++) {
      const float *q = query + (start + d) * lanes;
      for (size_t r = 0; r < rows_n; r++) {
        const vf xr = vf_set1(x[r][d]);
        for (size_t v = 0; v < registers; v++) {
          sum[r][v] = vf_add(sum[r][v], vf_mul(xr, vf_load(q + v * W)));
        }
      }
    }
  }
  for (size_t v = 0; v < registers; v++) {
    vf high = vf_load(best + v * W);
    for (size_t r = 0; r < rows_n; r++) high = vf_max(sum[r][v], high);
    vf_store(best + v * W, high);
  }
}

MV_INLINE void f16_block(const uint8_t *rows, size_t n, size_t dim, const float *query,
                         size_t lanes, float *best, size_t rows_n, size_t registers) {
  for (size_t l = 0; l < lanes; l += registers * W) {
    size_t t = 0;
    for (; t + rows_n <= n; t += rows_n) {
      f16_tile(rows + t * dim * 2, dim, query + l, lanes, best + l, rows_n, registers);
    }
    for (; t < n; t++) {
      f16_tile(rows + t * dim * 2, dim, query + l, lanes, best + l, 1, registers);
    }
  }
}

static void maxsim_f16(const uint8_t *rows, size_t n, size_t dim, const float *query, size_t lanes,
                       float *best) {
  if (lanes == MV_LANES_MAX) {
    f16_block(rows, n, dim, query, MV_LANES_MAX, best, F16_ROWS, F16_REGISTERS);
  } else if (W * F16_REGISTERS <= MV_LANES_MIN) {
    f16_block(rows, n, dim, query, MV_LANES_MIN, best, F16_ROWS, F16_REGISTERS);
  } else {
    f16_block(rows, n, dim, query, MV_LANES_MIN, best, F16_ROWS * F16_REGISTERS, 1);
  }
}

/* argmax */

/* Finds the first maximum of these rows, lane by lane, then lets it compete with the one so far. */
MV_INLINE void argmax_lanes(const int32_t *dots, size_t n, size_t lanes, uint32_t first,
                            int32_t *best, uint32_t *arg) {
  vi high[REGISTERS], where[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    high[v] = vi_load(dots + v * W);
    where[v] = vi_set1(0);
  }
  for (size_t t = 1; t < n; t++) {
    const vi number = vi_set1((int32_t)t);
    for (size_t v = 0; v < lanes / W; v++) {
      const vi value = vi_load(dots + t * lanes + v * W);
      where[v] = vi_select(vi_gt(value, high[v]), number, where[v]);
      high[v] = vi_max(value, high[v]);
    }
  }
  int32_t values[MV_LANES_MAX], numbers[MV_LANES_MAX];
  for (size_t v = 0; v < lanes / W; v++) {
    vi_store(values + v * W, high[v]);
    vi_store(numbers + v * W, where[v]);
  }
  for (size_t l = 0; l < lanes; l++) {
    const uint32_t number = first + (uint32_t)numbers[l];
    if (values[l] > best[l] || (values[l] == best[l] && number < arg[l])) {
      best[l] = values[l];
      arg[l] = number;
    }
  }
}

static void argmax(const int32_t *dots, size_t n, size_t lanes, uint32_t first, int32_t *best,
                   uint32_t *arg) {
  if (n == 0) return;
  if (lanes == MV_LANES_MAX) {
    argmax_lanes(dots, n, MV_LANES_MAX, first, best, arg);
  } else {
    argmax_lanes(dots, n, MV_LANES_MIN, first, best, arg);
  }
}

/* narrow16 and narrow8 */

/* Adds the float before a half, away from zero, and truncates: the same as rounding half away from
 * zero, since from 0.5 up the sum rounds to the next whole number, and below it does not. */
MV_INLINE vi round_half_away(vf x) {
  return vi_trunc(vf_add(x, vf_signed(vf_set1(0x1.fffffep-2f), x)));
}

MV_INLINE void narrow16_lanes(const int32_t *dots, size_t n, size_t lanes, const float *scale,
                              int16_t *out, int16_t *low, int16_t *high) {
  vi lows[REGISTERS], highs[REGISTERS];
  vf scales[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    lows[v] = vi_load16(low + v * W);
    highs[v] = vi_load16(high + v * W);
    scales[v] = vf_load(scale + v * W);
  }
  for (size_t t = 0; t < n; t++) {
    for (size_t v = 0; v < lanes / W; v++) {
      const vf dot = vf_of(vi_load(dots + t * lanes + v * W));
      const vi value = round_half_away(vf_mul(dot, scales[v]));
      vi_store16(out + t * lanes + v * W, value);
      lows[v] = vi_min(value, lows[v]);
      highs[v] = vi_max(value, highs[v]);
    }
  }
  for (size_t v = 0; v < lanes / W; v++) {
    vi_store16(low + v * W, lows[v]);
    vi_store16(high + v * W, highs[v]);
  }
}

static void narrow16(const int32_t *dots, size_t n, size_t lanes, const float *scale, int16_t *out,
                     int16_t *low, int16_t *high) {
  if (lanes == MV_LANES_MAX) {
    narrow16_lanes(dots, n, MV_LANES_MAX, scale, out, low, high);
  } else {
    narrow16_lanes(dots, n, MV_LANES_MIN, scale, out, low, high);
  }
}

MV_INLINE void narrow8_lanes(const int16_t *in, size_t n, size_t lanes, const int16_t *low,
                             const float *scale, uint8_t *out) {
  vi lows[REGISTERS];
  vf scales[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    lows[v] = vi_load16(low + v * W);
    scales[v] = vf_load(scale + v * W);
  }
  for (size_t t = 0; t < n; t++) {
    for (size_t v = 0; v < lanes / W; v++) {
      const vi above = vi_sub(vi_load16(in + t * lanes + v * W), lows[v]);
      const vf scaled = vf_mul(vf_of(above), scales[v]);
      vi_store8(out + t * lanes + v * W, vi_trunc(vf_add(scaled, vf_set1(0.5f))));
    }
  }
}

static void narrow8(const int16_t *in, size_t n, size_t lanes, const int16_t *low,
                    const float *scale, uint8_t *out) {
  if (lanes == MV_LANES_MAX) {
    narrow8_lanes(in, n, MV_LANES_MAX, low, scale, out);
  } else {
    narrow8_lanes(in, n, MV_LANES_MIN, low, scale, out);
  }
}
