#include "nearest_exhaustive.h"

#include <string.h>

#include "../base/alloc.h"
#include "../kernels/kernels.h"

enum { ROWS = 64 /* of a kernel call: their dot products stay in L1 */ };

void mv_nearest_block(const uint8_t *rows, uint32_t first, uint32_t n_rows, size_t padded,
                      const int8_t *points, const uint32_t *which, size_t n, int8_t *block,
                      int32_t *best, uint32_t *arg) {
  const mv_kernels *kernels = mv_kernels_get();
  const size_t lanes = mv_lanes_for(n);
  const int32_t bias[MV_LANES_MAX] = {0}; /* the same for all rows: it changes no order */
  int32_t dots[ROWS * MV_LANES_MAX];
  kernels->pack(points, which, n, padded, lanes, block);
  int32_t lane_best[MV_LANES_MAX];
  uint32_t lane_arg[MV_LANES_MAX];
  for (size_t l = 0; l < lanes; l++) {
    lane_best[l] = l < n ? best[l] : INT32_MAX;
    lane_arg[l] = l < n ? arg[l] : 0;
  }
  for (uint32_t row = 0; row < n_rows; row += ROWS) {
    const size_t tile = n_rows - row < ROWS ? n_rows - row : ROWS;
    kernels->dot8(rows + (size_t)row * padded, padded, tile, padded, block, lanes, bias, dots);
    kernels->argmax(dots, tile, lanes, first + row, lane_best, lane_arg);
  }
  memcpy(best, lane_best, n * sizeof(*best));
  memcpy(arg, lane_arg, n * sizeof(*arg));
}

mv_status mv_nearest(const uint8_t *rows, size_t n_rows, size_t dim, const int8_t *points, size_t n,
                     uint32_t *nearest) {
  if (n_rows < 1 || n_rows > MV_MAX_CENTROIDS || n > UINT32_MAX) return MV_ERROR_ARGUMENT;
  const size_t padded = mv_padded_dim(dim);
  int8_t *block = mv_alloc(padded, MV_LANES_MAX);
  if (block == NULL) return MV_ERROR_MEMORY;
  for (size_t first = 0; first < n; first += MV_LANES_MAX) {
    const size_t count = n - first < MV_LANES_MAX ? n - first : MV_LANES_MAX;
    uint32_t which[MV_LANES_MAX];
    int32_t best[MV_LANES_MAX];
    for (size_t l = 0; l < count; l++) {
      which[l] = (uint32_t)(first + l);
      best[l] = INT32_MIN;
      nearest[first + l] = 0;
    }
    mv_nearest_block(rows, 0, (uint32_t)n_rows, padded, points, which, count, block, best,
                     nearest + first);
  }
  mv_free(block);
  return MV_OK;
}
