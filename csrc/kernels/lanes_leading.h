/* leading: bounds of the greatest dot products, lane by lane (included by lanes.h). */
static void leading(const int32_t *dots, size_t n, int32_t *best, int32_t *bound) {
  const size_t step = (n + MV_LEADING_RUNS - 1) / MV_LEADING_RUNS;
  for (size_t l = 0; l < MV_LANES_MAX; l += W) {
    vi top[MV_LEADING]; /* of the runs' maxima, descending */
    for (size_t i = 0; i < MV_LEADING; i++) top[i] = vi_set1(INT32_MIN);
    for (size_t t = 0; t < n; t += step) {
      const size_t end = n - t < step ? n : t + step;
      vi rest = vi_load(dots + t * MV_LANES_MAX + l);
      for (size_t row = t + 1; row < end; row++)
        rest = vi_max(vi_load(dots + row * MV_LANES_MAX + l), rest);
      for (size_t i = 0; i < MV_LEADING; i++) {
        const vi high = vi_max(rest, top[i]);
        rest = vi_min(rest, top[i]);
        top[i] = high;
      }
    }
    vi_store(best + l, top[0]);
    vi_store(bound + l, top[MV_LEADING - 1]);
  }
}
