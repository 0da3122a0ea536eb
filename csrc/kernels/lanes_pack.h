/* pack: points as lanes of a block (included by lanes.h): tiles of four points by four steps. */

/* Four points, those from n on zero. */
MV_INLINE void pack_points(const int8_t *points, const uint32_t *which, size_t n, size_t padded,
                           size_t lanes, int8_t *block) {
  const uint8_t *from[4];
  for (size_t l = 0; l < 4; l++)
    from[l] = (const uint8_t *)points + (l < n ? which[l] * padded : 0);
  for (size_t d = 0; d < padded; d += 16) {
    vq rows[4];
    for (size_t l = 0; l < 4; l++) rows[l] = l < n ? vq_load_bytes(from[l] + d, 16) : vq_set1(0);
    vq_transpose(rows);
    for (size_t i = 0; i < 4; i++) {
      vq_store_bytes((uint8_t *)block + (d + i * 4) * lanes, rows[i]);
    }
  }
}

static void pack(const int8_t *points, const uint32_t *which, size_t n, size_t padded, size_t lanes,
                 int8_t *block) {
  for (size_t l = 0; l < lanes; l += 4) {
    const size_t left = n > l ? n - l : 0;
    if (left >= 4) {
      pack_points(points, which + l, 4, padded, lanes, block + l * 4);
    } else {
      pack_points(points, which + l, left, padded, lanes, block + l * 4);
    }
  }
}
