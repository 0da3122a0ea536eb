/* hadamard: the steps inside a register, then those between registers (included by lanes.h). */

/* Sums in the lanes whose number lacks the bit `distance`, differences in the others. */
MV_INLINE vf hadamard_step(vf x, size_t distance) {
  float signs[W];
  for (size_t l = 0; l < W; l++) signs[l] = l & distance ? -1.0f : 1.0f;
  return vf_add(vf_swap(x, distance), vf_mul(x, vf_load(signs)));
}

static void hadamard(float *x, size_t n) {
  if (n < W) {
    hadamard_steps(x, n);
    return;
  }
  for (size_t i = 0; i < n; i += W) {
    vf part = vf_load(x + i);
    part = hadamard_step(part, 1);
    part = hadamard_step(part, 2);
    if (W > 4) part = hadamard_step(part, 4);
    if (W > 8) part = hadamard_step(part, 8);
    vf_store(x + i, part);
  }
  for (size_t half = W; half < n; half *= 2) {
    for (size_t start = 0; start < n; start += 2 * half) {
      for (size_t i = start; i < start + half; i += W) {
        const vf low = vf_load(x + i), high = vf_load(x + i + half);
        vf_store(x + i, vf_add(low, high));
        vf_store(x + i + half, vf_sub(low, high));
      }
    }
  }
}
