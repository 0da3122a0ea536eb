/* from_float16, to_float16 (included by lanes.h). */

MV_INLINE void widen_values(const uint8_t *in, size_t n, float *out) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) widen_f16(in + i * 2, out + i);
  if (i < n) {
    uint8_t rest[32] = {0};
    float wide[16];
    memcpy(rest, in + i * 2, (n - i) * 2);
    widen_f16(rest, wide);
    memcpy(out + i, wide, (n - i) * sizeof *out);
  }
}

static void from_float16(const uint8_t *in, size_t n, float *out) { widen_values(in, n, out); }

static void to_float16(const float *in, size_t n, uint8_t *out) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) narrow_f16(in + i, out + i * 2);
  if (i < n) {
    uint8_t narrow[32];
    float rest[16] = {0};
    memcpy(rest, in + i, (n - i) * sizeof *in);
    narrow_f16(rest, narrow);
    memcpy(out + i * 2, narrow, (n - i) * 2);
  }
}
