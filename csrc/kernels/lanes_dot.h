/* dot7 and dot8: integer dot products of rows with lanes (included by lanes.h). */

/* One tile: `rows_n` rows times `registers` registers of lanes. Its sums are independent, which
 * hides the latency of the multiply, and each query register loaded serves every row. */
MV_INLINE void dot_tile(const uint8_t *rows, size_t stride, size_t dim, const int8_t *query,
                        size_t lanes, const int32_t *bias, int32_t *out, size_t rows_n,
                        size_t registers, int row_bits) {
  vi sum[DOT_ROWS_NARROW][DOT_REGISTERS];
  for (size_t r = 0; r < rows_n; r++) {
    for (size_t v = 0; v < registers; v++) sum[r][v] = vi_load(bias + v * W);
  }
  for (size_t d = 0; d < dim; d += 4) {
    vi q[DOT_REGISTERS];
    for (size_t v = 0; v < registers; v++) q[v] = vi_load_bytes(query + d * lanes + v * W * 4);
    for (size_t r = 0; r < rows_n; r++) {
      const vi row = vi_spread(rows + r * stride + d);
      for (size_t v = 0; v < registers; v++) sum[r][v] = vi_dot(sum[r][v], row, q[v], row_bits);
    }
  }
  for (size_t r = 0; r < rows_n; r++) {
    for (size_t v = 0; v < registers; v++) vi_store(out + r * lanes + v * W, sum[r][v]);
  }
}

/* Tiles of rows from t on while they are whole; where the rest begins. */
MV_INLINE size_t dot_tiles(const uint8_t *rows, size_t stride, size_t t, size_t n, size_t dim,
                           const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                           size_t rows_n, size_t registers, int row_bits) {
  for (; t + rows_n <= n; t += rows_n) {
    dot_tile(rows + t * stride, stride, dim, query, lanes, bias, out + t * lanes, rows_n, registers,
             row_bits);
  }
  return t;
}

/* `registers` registers of lanes of all rows; out has `lanes` for each. */
MV_INLINE void dot_block(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                         const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                         size_t rows_n, size_t registers, int row_bits) {
  const size_t half = rows_n / 2;
  size_t t =
      dot_tiles(rows, stride, 0, n, dim, query, lanes, bias, out, rows_n, registers, row_bits);
  t = dot_tiles(rows, stride, t, n, dim, query, lanes, bias, out, half, registers, row_bits);
  if (t < n && n >= half) {
    /* The last tile begins early and computes some rows again. */
    dot_tiles(rows, stride, n - half, n, dim, query, lanes, bias, out, half, registers, row_bits);
  } else {
    dot_tiles(rows, stride, t, n, dim, query, lanes, bias, out, 1, registers, row_bits);
  }
}

/* Lanes that do not fill the registers of a pass come last, one register at a time: more rows make
 * up for it. */
MV_INLINE void dot_lanes(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                         const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                         int row_bits) {
  size_t l = 0;
  for (; l + W * DOT_REGISTERS <= lanes; l += W * DOT_REGISTERS) {
    dot_block(rows, stride, n, dim, query + l * 4, lanes, bias + l, out + l, DOT_ROWS,
              DOT_REGISTERS, row_bits);
  }
  for (; l < lanes; l += W) {
    dot_block(rows, stride, n, dim, query + l * 4, lanes, bias + l, out + l, DOT_ROWS_NARROW, 1,
              row_bits);
  }
}

static void dot7(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                 size_t lanes, const int32_t *bias, int32_t *out) {
  BY_REGISTERS(lanes, dot_eight(rows, stride, n, dim, query, bias, out),
               dot_lanes(rows, stride, n, dim, query, LANES, bias, out, 7))
}

static void dot8(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                 size_t lanes, const int32_t *bias, int32_t *out) {
  int32_t corrected[MV_LANES_MAX];
  if (DOT8_OFFSET != 0) {
    memcpy(corrected, bias, lanes * sizeof *bias);
    for (size_t i = 0; i < dim * lanes; i++) {
      corrected[i / 4 % lanes] += DOT8_OFFSET * query[i];
    }
    bias = corrected;
  }
  BY_REGISTERS(lanes, dot_eight(rows, stride, n, dim, query, bias, out),
               dot_lanes(rows, stride, n, dim, query, LANES, bias, out, 8))
}
