/* Spherical k-means on int8 points:
 *
 *   1. draw k points as rows
 *   2. assign each point to its nearest row, sum the points of each row
 *   3. put each row in the direction of its sum, a row without points on a point drawn anew
 *   4. repeat 2 and 3
 *
 * Sums are integers, so the result does not depend on the order of addition. */
#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../base/random.h"
#include "../base/rounding.h"
#include "../vectors/points.h"

static void put_point(uint8_t *row, const int8_t *point, size_t padded) {
  for (size_t d = 0; d < padded; d++) row[d] = (uint8_t)(point[d] + 128);
}

/* Draws k of n points without replacement by selection sampling (Knuth, TAOCP 3.4.2, S). */
static void start_rows(const int8_t *points, size_t n, size_t padded, size_t k, uint64_t *state,
                       uint8_t *rows) {
  size_t chosen = 0;
  for (size_t i = 0; i < n && chosen < k; i++) {
    if (mv_random_below(state, n - i) < k - chosen) {
      put_point(rows + chosen * padded, points + i * padded, padded);
      chosen++;
    }
  }
  for (; chosen < k; chosen++) { /* more centroids than points */
    put_point(rows + chosen * padded, points + mv_random_below(state, n) * padded, padded);
  }
}

static void sum_points(const int8_t *points, size_t n, size_t padded, const uint32_t *nearest,
                       int64_t *sums, uint32_t *counts) {
  for (size_t i = 0; i < n; i++) {
    int64_t *sum = sums + (size_t)nearest[i] * padded;
    const int8_t *point = points + i * padded;
    for (size_t d = 0; d < padded; d++) sum[d] += point[d];
    counts[nearest[i]]++;
  }
}

/* The direction of a sum, as a row; a sum of zero length leaves the row as it is. */
static void put_direction(uint8_t *row, const int64_t *sum, size_t padded, float scale) {
  double square = 0.0;
  for (size_t d = 0; d < padded; d++) square += (double)sum[d] * (double)sum[d];
  if (square == 0.0) return;
  double factor = (double)scale / sqrt(square);
  for (size_t d = 0; d < padded; d++) {
    row[d] = (uint8_t)(mv_round_int8((float)((double)sum[d] * factor)) + 128);
  }
}

mv_status mv_kmeans(const int8_t *points, size_t n, size_t dim, size_t k, unsigned iterations,
                    uint64_t seed, uint8_t *rows) {
  if (n < 1 || k < 1 || n > UINT32_MAX || k > MV_MAX_CENTROIDS) return MV_ERROR_ARGUMENT;
  size_t padded = mv_padded_dim(dim);
  uint64_t state = seed;
  start_rows(points, n, padded, k, &state, rows);
  uint32_t *nearest = mv_alloc(n, sizeof(*nearest));
  int64_t *sums = mv_alloc(k * padded, sizeof(*sums));
  uint32_t *counts = mv_alloc(k, sizeof(*counts));
  mv_status status = nearest != NULL && sums != NULL && counts != NULL ? MV_OK : MV_ERROR_MEMORY;
  for (unsigned i = 0; status == MV_OK && i < iterations; i++) {
    status = mv_nearest(rows, k, dim, points, n, nearest);
    if (status != MV_OK) break;
    memset(sums, 0, k * padded * sizeof(*sums));
    memset(counts, 0, k * sizeof(*counts));
    sum_points(points, n, padded, nearest, sums, counts);
    for (size_t c = 0; c < k; c++) {
      if (counts[c] > 0) {
        put_direction(rows + c * padded, sums + c * padded, padded, mv_point_scale(dim));
      } else {
        put_point(rows + c * padded, points + mv_random_below(&state, n) * padded, padded);
      }
    }
  }
  mv_free(nearest);
  mv_free(sums);
  mv_free(counts);
  return status;
}
