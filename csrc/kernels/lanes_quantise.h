/* quantise: how many thresholds each value exceeds (included by lanes.h). */
static void quantise(const float *values, size_t n, const float *thresholds, size_t n_thresholds,
                     uint8_t *codes) {
  for (size_t i = 0; i < n; i += W) {
    const vf value = vf_load(values + i);
    vi count = vi_set1(0);
    for (size_t k = 0; k < n_thresholds; k++) {
      count = vi_count_above(count, value, vf_set1(thresholds[k]));
    }
    vi_store8(codes + i, count);
  }
}
