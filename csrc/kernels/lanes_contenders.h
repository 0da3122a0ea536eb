/* contenders: the rows that may be the best of a lane once they are scored more precisely (included
 * by lanes.h). */
MV_INLINE vf coded_value(const int32_t *centroids, const int32_t *residuals, vf a, vf b) {
  const vf centroid = vf_mul(a, vf_of(vi_load(centroids)));
  return vf_add(centroid, vf_mul(b, vf_of(vi_load(residuals))));
}

MV_INLINE size_t contenders_lanes(const int32_t *centroids, const int32_t *residuals, size_t n,
                                  size_t lanes, const float *a, const float *b, float margin,
                                  float *best, uint32_t *at) {
  vf high[REGISTERS];
  for (size_t v = 0; v < lanes / W; v++) high[v] = vf_load(best + v * W);
  for (size_t t = 0; t < n; t++) {
    const vf ta = vf_set1(a[t]), tb = vf_set1(b[t]);
    for (size_t v = 0; v < lanes / W; v++) {
      const size_t i = t * lanes + v * W;
      high[v] = vf_max(coded_value(centroids + i, residuals + i, ta, tb), high[v]);
    }
  }
  for (size_t v = 0; v < lanes / W; v++) {
    vf_store(best + v * W, high[v]);
    high[v] = vf_add(high[v], vf_set1(-margin));
  }
  size_t count = 0;
  for (size_t t = 0; t < n; t++) {
    const vf ta = vf_set1(a[t]), tb = vf_set1(b[t]);
    size_t contends = 0;
    for (size_t v = 0; v < lanes / W; v++) {
      const size_t i = t * lanes + v * W;
      contends |= vf_any_reaches(coded_value(centroids + i, residuals + i, ta, tb), high[v]);
    }
    at[count] = (uint32_t)t; /* branch-free: the branch is unpredictable */
    count += contends;
  }
  return count;
}

static size_t contenders(const int32_t *centroids, const int32_t *residuals, size_t n, size_t lanes,
                         const float *a, const float *b, float margin, float *best, uint32_t *at) {
  BY_REGISTERS(
      lanes, return EIGHT_LANES.contenders(centroids, residuals, n, lanes, a, b, margin, best, at),
      return contenders_lanes(centroids, residuals, n, LANES, a, b, margin, best, at))
}
