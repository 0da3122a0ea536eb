#include "centroids.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"

/* Each of the n numbers below n must be there once. */
static mv_status check_members(const uint32_t *members, uint32_t n) {
  uint8_t *seen = mv_alloc(n, 1);
  if (seen == NULL) return MV_ERROR_MEMORY;
  memset(seen, 0, n);
  mv_status status = MV_OK;
  for (uint32_t i = 0; status == MV_OK && i < n; i++) {
    if (members[i] >= n || seen[members[i]]++) status = MV_ERROR_CORRUPT;
  }
  mv_free(seen);
  return status;
}

static mv_status check_spec(const mv_codec_spec *spec, const mv_codec_sizes *sizes) {
  if (spec->n_centroids < 1 || spec->n_centroids > MV_MAX_CENTROIDS) return MV_ERROR_CORRUPT;
  if (spec->n_groups < 1 || spec->n_groups > spec->n_centroids) return MV_ERROR_CORRUPT;
  const size_t padded = mv_padded_dim(spec->dim);
  if (sizes->rows != spec->n_centroids * padded || sizes->group_rows != spec->n_groups * padded ||
      sizes->group_starts != (size_t)spec->n_groups + 1 || sizes->members != spec->n_centroids)
    return MV_ERROR_CORRUPT;
  const uint32_t *starts = spec->group_starts;
  if (starts[0] != 0 || starts[spec->n_groups] != spec->n_centroids) return MV_ERROR_CORRUPT;
  for (uint32_t g = 0; g < spec->n_groups; g++) {
    if (starts[g] > starts[g + 1]) return MV_ERROR_CORRUPT;
  }
  return check_members(spec->members, spec->n_centroids);
}

static float longest_row(const uint8_t *rows, size_t n, size_t padded) {
  int64_t longest = 0;
  for (size_t i = 0; i < n; i++) {
    int64_t sum = 0;
    for (size_t d = 0; d < padded; d++) {
      int x = (int)rows[i * padded + d] - 128;
      sum += x * x;
    }
    if (sum > longest) longest = sum;
  }
  return sqrtf((float)longest);
}

static void *copy_of(const void *data, size_t count, size_t size) {
  void *copy = mv_alloc(count, size);
  if (copy != NULL) memcpy(copy, data, count * size);
  return copy;
}

mv_status mv_centroids_init(mv_centroids *centroids, const mv_codec_spec *spec,
                            const mv_codec_sizes *sizes) {
  memset(centroids, 0, sizeof(*centroids));
  const mv_status status = check_spec(spec, sizes);
  if (status != MV_OK) return status;
  const size_t padded = mv_padded_dim(spec->dim), n_starts = (size_t)spec->n_groups + 1;
  centroids->padded = padded;
  centroids->n = spec->n_centroids;
  centroids->n_groups = spec->n_groups;
  centroids->rows = copy_of(spec->rows, spec->n_centroids, padded);
  centroids->group_rows = copy_of(spec->group_rows, spec->n_groups, padded);
  centroids->group_starts = copy_of(spec->group_starts, n_starts, sizeof(uint32_t));
  centroids->members = copy_of(spec->members, spec->n_centroids, sizeof(uint32_t));
  if (centroids->rows == NULL || centroids->group_rows == NULL || centroids->group_starts == NULL ||
      centroids->members == NULL)
    return MV_ERROR_MEMORY;
  centroids->row_norm = longest_row(centroids->rows, centroids->n, padded);
  return MV_OK;
}

void mv_centroids_free(mv_centroids *centroids) {
  mv_free(centroids->rows);
  mv_free(centroids->group_rows);
  mv_free(centroids->group_starts);
  mv_free(centroids->members);
}
