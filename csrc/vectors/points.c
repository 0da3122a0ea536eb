/* Incoming token vectors: unit length, rotation, int8 points. */
#include "points.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "rotation.h"

enum { PARTIAL_SUMS = 8 };

/* In double: squares of float32 neither overflow nor vanish. In a fixed order, whatever the width
 * of vectors. */
static double squared_length(const float *row, size_t dim) {
  double sums[PARTIAL_SUMS] = {0.0};
  size_t d = 0;
  for (; d + PARTIAL_SUMS <= dim; d += PARTIAL_SUMS) {
    for (size_t j = 0; j < PARTIAL_SUMS; j++) sums[j] += (double)row[d + j] * (double)row[d + j];
  }
  for (size_t j = 0; d < dim; d++, j++) sums[j] += (double)row[d] * (double)row[d];
  for (size_t width = PARTIAL_SUMS / 2; width > 0; width /= 2) {
    for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
  }
  return sums[0];
}

void mv_normalise(const float *in, size_t n, size_t dim, float *out, uint8_t *state) {
  for (size_t i = 0; i < n; i++) {
    const float *row = in + i * dim;
    const double sum = squared_length(row, dim);
    state[i] = !isfinite(sum) ? MV_ROW_NOT_FINITE : sum == 0.0 ? MV_ROW_ZERO : MV_ROW_UNIT;
    double scale = state[i] == MV_ROW_UNIT ? 1.0 / sqrt(sum) : 1.0;
    for (size_t d = 0; d < dim; d++) out[i * dim + d] = (float)((double)row[d] * scale);
  }
}

void mv_point_quantise(size_t dim, size_t padded, const float *rotated, int8_t *point) {
  float scale = mv_point_scale(dim);
  for (size_t d = 0; d < padded; d++) point[d] = (int8_t)mv_round_int8(rotated[d] * scale);
}

mv_status mv_points(const float *vectors, size_t n, size_t dim, uint64_t seed, int8_t *points) {
  mv_rotation rotation;
  mv_status status = mv_rotation_init(&rotation, dim, seed);
  float *scratch = mv_alloc(rotation.padded, sizeof(float));
  if (scratch == NULL) status = MV_ERROR_MEMORY;
  for (size_t i = 0; status == MV_OK && i < n; i++) {
    mv_rotation_apply(&rotation, vectors + i * dim, scratch);
    mv_point_quantise(dim, rotation.padded, scratch, points + i * rotation.padded);
  }
  mv_free(scratch);
  mv_rotation_free(&rotation);
  return status;
}
