/* maxsim and maxsim_f16: MaxSim of coded and of float16 rows, lane by lane (included by lanes.h).
 */
MV_INLINE void maxsim_lanes(const int32_t *dots, size_t n, size_t lanes, const float *a,
                            const float *b, const uint8_t *codes, size_t code_bytes,
                            const int16_t *table, const float *unit, float *best) {
  vf high[REGISTERS], units[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    high[v] = vf_load(best + v * W);
    units[v] = vf_load(unit + v * W);
  }
  for (size_t t = 0; t < n; t++) {
    const int16_t *row = table + mv_code_read(codes, t, code_bytes) * lanes;
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
  BY_REGISTERS(lanes,
               EIGHT_LANES.maxsim(dots, n, lanes, a, b, codes, code_bytes, table, unit, best),
               maxsim_lanes(dots, n, LANES, a, b, codes, code_bytes, table, unit, best))
}

/* maxsim_f16 */

enum { F16_STEP = 32, F16_ROWS = 4, F16_REGISTERS = 2 };

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
    for (size_t r = 0; r < rows_n; r++) widen_values(rows + (r * dim + start) * 2, count, x[r]);
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
  size_t t = 0;
  for (; t + rows_n <= n; t += rows_n) {
    f16_tile(rows + t * dim * 2, dim, query, lanes, best, rows_n, registers);
  }
  for (; t < n; t++) f16_tile(rows + t * dim * 2, dim, query, lanes, best, 1, registers);
}

/* As dot_lanes does. */
MV_INLINE void f16_lanes(const uint8_t *rows, size_t n, size_t dim, const float *query,
                         size_t lanes, float *best) {
  size_t l = 0;
  for (; l + W * F16_REGISTERS <= lanes; l += W * F16_REGISTERS) {
    f16_block(rows, n, dim, query + l, lanes, best + l, F16_ROWS, F16_REGISTERS);
  }
  for (; l < lanes; l += W) {
    f16_block(rows, n, dim, query + l, lanes, best + l, F16_ROWS * F16_REGISTERS, 1);
  }
}

static void maxsim_f16(const uint8_t *rows, size_t n, size_t dim, const float *query, size_t lanes,
                       float *best) {
  BY_REGISTERS(lanes, EIGHT_LANES.maxsim_f16(rows, n, dim, query, lanes, best),
               f16_lanes(rows, n, dim, query, LANES, best))
}
