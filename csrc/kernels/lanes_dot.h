/* dot7 and dot8: integer dot products of rows with lanes (included by lanes.h). */
enum { DOT_ROWS = 4, DOT_ROWS_NARROW = 4 * DOT_REGISTERS };

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

/* All lanes of `rows_n` rows. */
MV_INLINE void dot_rows(const uint8_t *rows, size_t stride, size_t dim, const int8_t *query,
                        size_t lanes, const int32_t *bias, int32_t *out, size_t rows_n,
                        size_t registers, int row_bits) {
  for (size_t l = 0; l < lanes; l += registers * W) {
    dot_tile(rows, stride, dim, query + l * 4, lanes, bias + l, out + l, rows_n, registers,
             row_bits);
  }
}

MV_INLINE void dot_block(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                         const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                         size_t rows_n, size_t registers, int row_bits) {
  size_t t = 0;
  if (n < rows_n) {
    for (; t < n; t++) {
      dot_rows(rows + t * stride, stride, dim, query, lanes, bias, out + t * lanes, 1, registers,
               row_bits);
    }
    return;
  }
  while (t < n) {
    /* The last tile may begin early and compute some rows again. */
    if (t > n - rows_n) t = n - rows_n;
    dot_rows(rows + t * stride, stride, dim, query, lanes, bias, out + t * lanes, rows_n, registers,
             row_bits);
    t += rows_n;
  }
}

/* Where one register holds 16 lanes, 16 lanes fill no more than it: more rows make up for it. */
MV_INLINE void dot_lanes(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                         const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                         int row_bits) {
  if (lanes == MV_LANES_MAX) {
    dot_block(rows, stride, n, dim, query, MV_LANES_MAX, bias, out, DOT_ROWS, DOT_REGISTERS,
              row_bits);
  } else if (W * DOT_REGISTERS <= MV_LANES_MIN) {
    dot_block(rows, stride, n, dim, query, MV_LANES_MIN, bias, out, DOT_ROWS, DOT_REGISTERS,
              row_bits);
  } else {
    dot_block(rows, stride, n, dim, query, MV_LANES_MIN, bias, out, DOT_ROWS_NARROW, 1, row_bits);
  }
}

static void dot7(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                 size_t lanes, const int32_t *bias, int32_t *out) {
  dot_lanes(rows, stride, n, dim, query, lanes, bias, out, 7);
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
  dot_lanes(rows, stride, n, dim, query, lanes, bias, out, 8);
}
