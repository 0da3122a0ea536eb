#include <math.h>

#include "../kernels/kernels.h"
#include "points.h"

size_t mv_padded_dim(size_t dim) { return (dim + MV_DIM_STEP - 1) / MV_DIM_STEP * MV_DIM_STEP; }

size_t mv_token_bytes(size_t dim, unsigned bits) {
  return bits == 16 ? dim * 2 : mv_padded_dim(dim) * bits / 8 + 2;
}

size_t mv_code_bytes(size_t n_centroids) { return n_centroids <= 65536 ? 2 : 3; }

float mv_point_scale(size_t dim) {
  const float clip = 6.0f / sqrtf((float)dim);
  return 127.0f / (clip < 1.0f ? clip : 1.0f);
}
