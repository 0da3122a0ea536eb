/* above: the first row that exceeds a bound in some lane (included by lanes.h). */
MV_INLINE size_t above_lanes(const int16_t *table, size_t n, size_t lanes, const int16_t *least) {
  const size_t piece = lanes % 16 == 0 ? 16 : 8;
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l += piece) {
      if (any_above(table + t * lanes + l, least + l, piece)) return t;
    }
  }
  return n;
}

static size_t above(const int16_t *table, size_t n, size_t lanes, const int16_t *least) {
  BY_LANES(lanes, return above_lanes(table, n, LANES, least))
}
