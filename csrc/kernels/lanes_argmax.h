/* argmax: the best row of each lane (included by lanes.h). */
/* Finds the first maximum of these rows, lane by lane, then lets it compete with the one so far. */
MV_INLINE void argmax_lanes(const int32_t *dots, size_t n, size_t lanes, uint32_t first,
                            int32_t *best, uint32_t *arg) {
  vi high[REGISTERS], where[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) {
    high[v] = vi_load(dots + v * W);
    where[v] = vi_set1(0);
  }
  for (size_t t = 1; t < n; t++) {
    const vi number = vi_set1((int32_t)t);
    for (size_t v = 0; v < lanes / W; v++) {
      const vi value = vi_load(dots + t * lanes + v * W);
      where[v] = vi_select(vi_gt(value, high[v]), number, where[v]);
      high[v] = vi_max(value, high[v]);
    }
  }
  int32_t values[MV_LANES_MAX], numbers[MV_LANES_MAX];
  for (size_t v = 0; v < lanes / W; v++) {
    vi_store(values + v * W, high[v]);
    vi_store(numbers + v * W, where[v]);
  }
  for (size_t l = 0; l < lanes; l++) {
    const uint32_t number = first + (uint32_t)numbers[l];
    if (values[l] > best[l] || (values[l] == best[l] && number < arg[l])) {
      best[l] = values[l];
      arg[l] = number;
    }
  }
}

static void argmax(const int32_t *dots, size_t n, size_t lanes, uint32_t first, int32_t *best,
                   uint32_t *arg) {
  if (n == 0) return;
  BY_REGISTERS(lanes, EIGHT_LANES.argmax(dots, n, lanes, first, best, arg),
               argmax_lanes(dots, n, LANES, first, best, arg))
}
