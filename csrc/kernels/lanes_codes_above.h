/* codes_above: codes whose row of a table exceeds a bound in some lane (included by lanes.h). */
MV_INLINE size_t codes_above_lanes(const uint8_t *codes, size_t from, size_t to, size_t code_bytes,
                                   const void *index, size_t index_bytes, size_t n_rows,
                                   const int16_t *table, size_t lanes, const int16_t *least,
                                   uint32_t *at) {
  const size_t piece = lanes % 16 == 0 ? 16 : 8;
  size_t count = 0;
  for (size_t t = from; t < to; t++) {
    const size_t row = mv_index_read(index, mv_code_read(codes, t, code_bytes), index_bytes);
    const size_t has = row < n_rows;
    const int16_t *scores = table + (has ? row : 0) * lanes;
    size_t exceeds = 0;
    for (size_t l = 0; l < lanes; l += piece) {
      exceeds |= (size_t)any_above(scores + l, least + l, piece);
    }
    /* Branch-free: the branch is unpredictable. */
    at[count] = (uint32_t)t;
    count += has & exceeds;
  }
  return count;
}

MV_INLINE size_t codes_above_of(const uint8_t *codes, size_t from, size_t to, size_t code_bytes,
                                const void *index, size_t index_bytes, size_t n_rows,
                                const int16_t *table, size_t lanes, const int16_t *least,
                                uint32_t *at) {
  BY_CODES(code_bytes, index_bytes,
           return codes_above_lanes(codes, from, to, CODE_BYTES, index, INDEX_BYTES, n_rows, table,
                                    lanes, least, at))
}

static size_t codes_above(const uint8_t *codes, size_t from, size_t to, size_t code_bytes,
                          const void *index, size_t index_bytes, size_t n_rows,
                          const int16_t *table, size_t lanes, const int16_t *least, uint32_t *at) {
  BY_LANES(lanes, return codes_above_of(codes, from, to, code_bytes, index, index_bytes, n_rows,
                                        table, LANES, least, at))
}
