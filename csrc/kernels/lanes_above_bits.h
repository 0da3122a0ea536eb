/* above_bits: which lanes of each row exceed a bound (included by lanes.h). */
static void above_bits(const int32_t *dots, size_t n, const int32_t *least, uint32_t *out) {
  vi bounds[REGISTERS];
  for (size_t v = 0; v < REGISTERS; v++) bounds[v] = vi_load(least + v * W);
  for (size_t t = 0; t < n; t++) {
    uint32_t lanes = 0;
    for (size_t v = 0; v < REGISTERS; v++) {
      const vi row = vi_load(dots + t * MV_LANES_MAX + v * W);
      lanes |= vm_bits(vi_gt(row, bounds[v])) << (v * W);
    }
    out[t] = lanes;
  }
}
