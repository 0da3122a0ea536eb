/* unpack: residual codes to level bytes (included by lanes.h); MV_OWN_UNPACK: avx512.c has rows. */
#ifndef MV_OWN_UNPACK
typedef vb unpack_table;
#define unpack_levels vb_levels

/* All planes of `count` packed bytes of a row. */
MV_INLINE void unpack_bytes(const uint8_t *packed, size_t count, size_t width, unsigned bits,
                            vb table, uint8_t *out) {
  const vb low = vb_set1((uint8_t)((1U << bits) - 1));
  const vb bytes = vb_load(packed, count);
  for (unsigned plane = 0; plane < 8 / bits; plane++) {
    /* Where the shift is of wider units, bits of the byte above come in; they are masked off. */
    const vb codes = vb_and(vb_shift_right(bytes, plane * bits), low);
    vb_store(out + plane * width, vb_lookup(table, codes), count);
  }
}

/* Whole registers, then pieces of `piece` bytes, at most width; the last piece may begin early and
 * do some bytes a second time, to the same end. */
MV_INLINE void unpack_row(const uint8_t *packed, size_t width, size_t piece, unsigned bits,
                          vb table, uint8_t *out) {
  size_t j = 0;
  for (; j + BYTES <= width; j += BYTES) {
    unpack_bytes(packed + j, BYTES, width, bits, table, out + j);
  }
  for (; j < width; j += piece) {
    if (j > width - piece) j = width - piece;
    unpack_bytes(packed + j, piece, width, bits, table, out + j);
  }
}

/* A row of fewer than 8 packed bytes goes through a buffer, not to touch its neighbours. */
MV_INLINE void unpack_short_row(const uint8_t *packed, size_t width, unsigned bits, vb table,
                                uint8_t *out) {
  uint8_t in[8] = {0}, planes[8 * 8];
  memcpy(in, packed, width);
  unpack_bytes(in, 8, 8, bits, table, planes);
  for (unsigned plane = 0; plane < 8 / bits; plane++) {
    memcpy(out + plane * width, planes + (size_t)plane * 8, width);
  }
}

MV_INLINE void unpack_rows(const uint8_t *const *packed, size_t n, size_t dim, unsigned bits,
                           vb table, uint8_t *out) {
  const size_t width = dim * bits / 8;
  for (size_t t = 0; t < n; t++) {
    if (width >= 16) {
      unpack_row(packed[t], width, 16, bits, table, out + t * dim);
    } else if (width >= 8) {
      unpack_row(packed[t], width, 8, bits, table, out + t * dim);
    } else {
      unpack_short_row(packed[t], width, bits, table, out + t * dim);
    }
  }
}

#endif

static void unpack(const uint8_t *const *packed, size_t n, size_t dim, unsigned bits,
                   const uint8_t levels[16], uint8_t *out) {
  const unpack_table table = unpack_levels(levels);
  if (bits == 1) {
    unpack_rows(packed, n, dim, 1, table, out);
  } else if (bits == 2) {
    unpack_rows(packed, n, dim, 2, table, out);
  } else {
    unpack_rows(packed, n, dim, 4, table, out);
  }
}
