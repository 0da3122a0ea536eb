/* interact: the best table byte of each lane over the codes of a document (included by lanes.h). */
/* Chains of maxima that do not wait for each other: the loads of as many codes overlap. */
enum { CHAINS = 4 };

MV_INLINE void interact_lanes(const uint8_t *codes, size_t n, size_t code_bytes, const void *index,
                              size_t index_bytes, const uint8_t *table, size_t lanes,
                              uint8_t *best) {
  const size_t piece = lanes % BYTES == 0 ? BYTES : lanes == 16 ? 16 : 8;
  vb high[MV_LANES_MAX / 8][CHAINS];
  for (size_t v = 0; v < lanes / piece; v++) {
    for (size_t i = 0; i < CHAINS; i++) high[v][i] = vb_set1(0);
  }
  size_t t = 0;
  for (; t + CHAINS <= n; t += CHAINS) {
    for (size_t i = 0; i < CHAINS; i++) {
      const size_t code = mv_code_read(codes, t + i, code_bytes);
      const uint8_t *row = table + mv_index_read(index, code, index_bytes) * lanes;
      for (size_t v = 0; v < lanes / piece; v++) {
        high[v][i] = vb_max(high[v][i], vb_load(row + v * piece, piece));
      }
    }
  }
  for (; t < n; t++) {
    const size_t code = mv_code_read(codes, t, code_bytes);
    const uint8_t *row = table + mv_index_read(index, code, index_bytes) * lanes;
    for (size_t v = 0; v < lanes / piece; v++) {
      high[v][0] = vb_max(high[v][0], vb_load(row + v * piece, piece));
    }
  }
  for (size_t v = 0; v < lanes / piece; v++) {
    const vb all = vb_max(vb_max(high[v][0], high[v][1]), vb_max(high[v][2], high[v][3]));
    vb_store(best + v * piece, all, piece);
  }
}

MV_INLINE void interact_codes(const uint8_t *codes, size_t n, size_t code_bytes, const void *index,
                              size_t index_bytes, const uint8_t *table, size_t lanes,
                              uint8_t *best) {
  BY_CODES(code_bytes, index_bytes,
           interact_lanes(codes, n, CODE_BYTES, index, INDEX_BYTES, table, lanes, best))
}

static void interact(const uint8_t *codes, size_t n, size_t code_bytes, const void *index,
                     size_t index_bytes, const uint8_t *table, size_t lanes, uint8_t *best) {
  BY_LANES(lanes, interact_codes(codes, n, code_bytes, index, index_bytes, table, LANES, best))
}
