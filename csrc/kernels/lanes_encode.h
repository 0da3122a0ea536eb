/* round_bytes, from_bytes, products, residual, quantise: what encoding does with one vector
 * (included by lanes.h). */

enum { PARTS = PARTIAL_SUMS / W };

static void round_bytes(const float *values, size_t n, float scale, int8_t *out) {
  const vf factor = vf_set1(scale), low = vf_set1(-127.0f), high = vf_set1(127.0f);
  const vf half = vf_set1(0.5f);
  for (size_t i = 0; i < n; i += W) {
    const vf clipped = vf_min(vf_max(vf_mul(vf_load(values + i), factor), low), high);
    vi_store8((uint8_t *)out + i, vi_trunc(vf_add(clipped, vf_signed(half, clipped))));
  }
}

static void from_bytes(const uint8_t *bytes, size_t n, int zero, float scale, float *out) {
  const vf factor = vf_set1(scale);
  const vi origin = vi_set1(zero);
  for (size_t i = 0; i < n; i += W) {
    vf_store(out + i, vf_mul(vf_of(vi_sub(vi_load8(bytes + i), origin)), factor));
  }
}

static void products(const float *v, const float *c, const float *w, size_t n, float out[5]) {
  vf sums[5][PARTS];
  for (size_t k = 0; k < 5; k++) {
    for (size_t p = 0; p < PARTS; p++) sums[k][p] = vf_set1(0.0f);
  }
  for (size_t i = 0; i < n; i += PARTIAL_SUMS) {
    for (size_t p = 0; p < PARTS; p++) {
      const size_t at = i + p * W;
      const vf x = vf_load(v + at), y = vf_load(c + at), z = vf_load(w + at);
      sums[0][p] = vf_add(sums[0][p], vf_mul(y, y));
      sums[1][p] = vf_add(sums[1][p], vf_mul(y, z));
      sums[2][p] = vf_add(sums[2][p], vf_mul(z, z));
      sums[3][p] = vf_add(sums[3][p], vf_mul(x, y));
      sums[4][p] = vf_add(sums[4][p], vf_mul(x, z));
    }
  }
  for (size_t k = 0; k < 5; k++) {
    float parts[PARTIAL_SUMS];
    for (size_t p = 0; p < PARTS; p++) vf_store(parts + p * W, sums[k][p]);
    out[k] = tree_sum(parts);
  }
}

static float residual(const float *v, const float *c, size_t n, float a, float inverse,
                      float *out) {
  const vf scale = vf_set1(a), factor = vf_set1(inverse);
  vf sums[PARTS];
  for (size_t p = 0; p < PARTS; p++) sums[p] = vf_set1(0.0f);
  for (size_t i = 0; i < n; i += PARTIAL_SUMS) {
    for (size_t p = 0; p < PARTS; p++) {
      const size_t at = i + p * W;
      const vf rest = vf_sub(vf_load(v + at), vf_mul(scale, vf_load(c + at)));
      sums[p] = vf_add(sums[p], vf_mul(rest, rest));
      vf_store(out + at, vf_mul(rest, factor));
    }
  }
  float parts[PARTIAL_SUMS];
  for (size_t p = 0; p < PARTS; p++) vf_store(parts + p * W, sums[p]);
  return sequence_sum(parts);
}

static void quantise(const float *values, size_t n, const float *thresholds, size_t n_thresholds,
                     const float levels[16], uint8_t *codes, float *out) {
  for (size_t i = 0; i < n; i += W) {
    const vf value = vf_load(values + i);
    vi count = vi_set1(0);
    for (size_t k = 0; k < n_thresholds; k++) {
      count = vi_count_above(count, value, vf_set1(thresholds[k]));
    }
    vi_store8(codes + i, count);
    vf_store(out + i, vf_pick(levels, count));
  }
}
