/* Incoming token vectors: unit length, rotation, int8 points. */
#include "points.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../kernels/kernels.h"
#include "rotation.h"

void mv_normalise(const void *in, size_t in_bytes, size_t n, size_t dim, void *out,
                  size_t out_bytes, uint8_t *state) {
  const mv_kernels *kernels = mv_kernels_get();
  float row[MV_MAX_DIM];
  for (size_t i = 0; i < n; i++) {
    const float *from = (const float *)in + i * dim;
    float *to = out_bytes == 2 ? row : (float *)out + i * dim;
    if (in_bytes == 2) {
      kernels->from_float16((const uint8_t *)in + i * dim * 2, dim, row);
      from = row;
    }
    const double square = kernels->normalise(from, dim, to);
    state[i] = !isfinite(square) ? MV_ROW_NOT_FINITE : square == 0.0 ? MV_ROW_ZERO : MV_ROW_UNIT;
    if (out_bytes == 2) kernels->to_float16(row, dim, (uint8_t *)out + i * dim * 2);
  }
}

void mv_point_quantise(size_t dim, size_t padded, const float *rotated, int8_t *point) {
  mv_kernels_get()->round_bytes(rotated, padded, mv_point_scale(dim), point);
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
