#include "nearest_exhaustive.h"

#include <string.h>

#include "../base/alloc.h"
#include "../kernels/kernels.h"
#include "../kernels/lane_pack.h"

mv_status mv_nearest_space_init(mv_nearest_space *space, size_t padded) {
  space->block = mv_alloc(padded, MV_LANES_MAX);
  space->dots = mv_alloc(MV_NEAREST_ROWS * MV_LANES_MAX, sizeof(int32_t));
  return space->block != NULL && space->dots != NULL ? MV_OK : MV_ERROR_MEMORY;
}

void mv_nearest_space_free(mv_nearest_space *space) {
  mv_free(space->block);
  mv_free(space->dots);
}

void mv_nearest_block(const mv_nearest_space *space, const uint8_t *rows, uint32_t first,
                      uint32_t last, size_t padded, const int8_t *points, const uint32_t *which,
                      size_t n, int32_t *best, uint32_t *arg) {
  const mv_kernels *kernels = mv_kernels_get();
  size_t lanes = n <= MV_LANES_MIN ? MV_LANES_MIN : MV_LANES_MAX;
  int32_t bias[MV_LANES_MAX] = {0};
  if (n < lanes) memset(space->block, 0, padded * lanes);
  for (size_t l = 0; l < n; l++) {
    const int8_t *point = points + (size_t)which[l] * padded;
    bias[l] = -128 * mv_lane_put(space->block, lanes, l, point, padded);
  }
  int32_t lane_best[MV_LANES_MAX];
  uint32_t lane_arg[MV_LANES_MAX];
  for (size_t l = 0; l < lanes; l++) {
    lane_best[l] = l < n ? best[l] : INT32_MAX;
    lane_arg[l] = l < n ? arg[l] : 0;
  }
  for (uint32_t row = first; row < last; row += MV_NEAREST_ROWS) {
    size_t tile = last - row < MV_NEAREST_ROWS ? last - row : MV_NEAREST_ROWS;
    kernels->dot8(rows + (size_t)row * padded, padded, tile, padded, space->block, lanes, bias,
                  space->dots);
    kernels->argmax(space->dots, tile, lanes, row, lane_best, lane_arg);
  }
  memcpy(best, lane_best, n * sizeof(*best));
  memcpy(arg, lane_arg, n * sizeof(*arg));
}

mv_status mv_nearest(const uint8_t *rows, size_t n_rows, size_t dim, const int8_t *points, size_t n,
                     uint32_t *nearest) {
  if (n_rows < 1 || n_rows > MV_MAX_CENTROIDS || n > UINT32_MAX) return MV_ERROR_ARGUMENT;
  size_t padded = mv_padded_dim(dim);
  mv_nearest_space space;
  mv_status status = mv_nearest_space_init(&space, padded);
  for (size_t first = 0; status == MV_OK && first < n; first += MV_LANES_MAX) {
    size_t count = n - first < MV_LANES_MAX ? n - first : MV_LANES_MAX;
    uint32_t which[MV_LANES_MAX];
    int32_t best[MV_LANES_MAX];
    for (size_t l = 0; l < count; l++) {
      which[l] = (uint32_t)(first + l);
      best[l] = INT32_MIN;
      nearest[first + l] = 0;
    }
    mv_nearest_block(&space, rows, 0, (uint32_t)n_rows, padded, points, which, count, best,
                     nearest + first);
  }
  mv_nearest_space_free(&space);
  return status;
}
