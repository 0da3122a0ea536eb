#include "rotation.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../base/random.h"
#include "../kernels/kernels.h"
#include "../mvdb.h"

static size_t block_offset(const mv_rotation *rotation, unsigned round) {
  return round % 2 == 0 ? 0 : rotation->dim - rotation->block;
}

mv_status mv_rotation_init(mv_rotation *rotation, size_t dim, uint64_t seed) {
  rotation->seed = seed;
  rotation->dim = dim;
  rotation->padded = mv_padded_dim(dim);
  rotation->block = 1;
  while (rotation->block * 2 <= dim) rotation->block *= 2;
  rotation->rounds = rotation->block == dim ? 2 : 4;
  rotation->signs = mv_alloc(rotation->rounds * dim, sizeof(float));
  if (rotation->signs == NULL) return MV_ERROR_MEMORY;
  float scale = 1.0f / sqrtf((float)rotation->block);
  uint64_t state = seed;
  for (unsigned round = 0; round < rotation->rounds; round++) {
    size_t first = block_offset(rotation, round);
    for (size_t d = 0; d < dim; d++) {
      float sign = (mv_random_next(&state) >> 63) != 0 ? -1.0f : 1.0f;
      int inside = d >= first && d < first + rotation->block;
      rotation->signs[round * dim + d] = inside ? sign * scale : sign;
    }
  }
  return MV_OK;
}

void mv_rotation_free(mv_rotation *rotation) {
  mv_free(rotation->signs);
  rotation->signs = NULL;
}

void mv_rotation_apply(const mv_rotation *rotation, const float *in, float *out) {
  size_t dim = rotation->dim;
  memcpy(out, in, dim * sizeof(float));
  for (unsigned round = 0; round < rotation->rounds; round++) {
    const float *signs = rotation->signs + round * dim;
    for (size_t d = 0; d < dim; d++) out[d] *= signs[d];
    mv_kernels_get()->hadamard(out + block_offset(rotation, round), rotation->block);
  }
  for (size_t d = dim; d < rotation->padded; d++) out[d] = 0.0f;
}

void mv_rotation_invert(const mv_rotation *rotation, const float *in, float *out) {
  size_t dim = rotation->dim;
  memcpy(out, in, dim * sizeof(float));
  for (unsigned round = rotation->rounds; round-- > 0;) {
    const float *signs = rotation->signs + round * dim;
    /* The transform is symmetric; signs carry its scale, so signs then serve for the inverse. */
    mv_kernels_get()->hadamard(out + block_offset(rotation, round), rotation->block);
    for (size_t d = 0; d < dim; d++) out[d] *= signs[d];
  }
}
