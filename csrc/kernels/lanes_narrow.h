/* narrow16 and narrow8: dot products to int16, int16 to bytes (included by lanes.h). */
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
                     int16_t *low, int16_t *high){
    BY_REGISTERS(lanes, EIGHT_LANES.narrow16(dots, n, lanes, scale, out, low, high),
                 narrow16_lanes(dots, n, LANES, scale, out, low, high))}

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
  BY_REGISTERS(lanes, EIGHT_LANES.narrow8(in, n, lanes, low, scale, out),
               narrow8_lanes(in, n, LANES, low, scale, out))
}
