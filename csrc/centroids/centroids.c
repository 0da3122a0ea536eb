#include "centroids.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../kernels/centroid_code.h"

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
  return MV_OK;
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

/* Each centroid must be a member once. */
static mv_status place_members(mv_centroids *centroids) {
  memset(centroids->places, 0xff, centroids->n * sizeof(uint32_t));
  for (uint32_t place = 0; place < centroids->n; place++) {
    const uint32_t number = centroids->numbers[place];
    if (number >= centroids->n || centroids->places[number] != UINT32_MAX) return MV_ERROR_CORRUPT;
    centroids->places[number] = place;
  }
  for (uint32_t g = 0, place = 0; g < centroids->n_groups; g++) {
    for (; place < centroids->group_starts[g + 1]; place++) {
      mv_index_write(centroids->group_of, centroids->numbers[place], centroids->group_of_bytes, g);
    }
  }
  return MV_OK;
}

/* In the order of groups: added centroids have numbers far from those of their group, and rows far
 * from each other are read one cache miss after the other. */
static void copy_rows(mv_centroids *centroids, const uint8_t *rows) {
  const size_t padded = centroids->padded;
  for (size_t place = 0; place < centroids->n; place++) {
    memcpy(centroids->rows + place * padded, rows + centroids->numbers[place] * padded, padded);
  }
}

mv_status mv_centroids_init(mv_centroids *centroids, const mv_codec_spec *spec,
                            const mv_codec_sizes *sizes) {
  memset(centroids, 0, sizeof(*centroids));
  mv_status status = check_spec(spec, sizes);
  if (status != MV_OK) return status;
  const size_t padded = mv_padded_dim(spec->dim), n_starts = (size_t)spec->n_groups + 1;
  centroids->padded = padded;
  centroids->n = spec->n_centroids;
  centroids->n_groups = spec->n_groups;
  centroids->rows = mv_alloc(spec->n_centroids, padded);
  centroids->group_rows = copy_of(spec->group_rows, spec->n_groups, padded);
  centroids->group_starts = copy_of(spec->group_starts, n_starts, sizeof(uint32_t));
  centroids->numbers = copy_of(spec->members, spec->n_centroids, sizeof(uint32_t));
  centroids->places = mv_alloc(spec->n_centroids, sizeof(uint32_t));
  centroids->group_of_bytes = mv_index_bytes(spec->n_groups);
  centroids->group_of = mv_alloc(spec->n_centroids, centroids->group_of_bytes);
  if (centroids->rows == NULL || centroids->group_rows == NULL || centroids->group_starts == NULL ||
      centroids->numbers == NULL || centroids->places == NULL || centroids->group_of == NULL)
    return MV_ERROR_MEMORY;
  status = place_members(centroids);
  if (status != MV_OK) return status;
  copy_rows(centroids, spec->rows);
  centroids->row_norm = longest_row(centroids->rows, centroids->n, padded);
  return MV_OK;
}

void mv_centroids_free(mv_centroids *centroids) {
  mv_free(centroids->rows);
  mv_free(centroids->group_rows);
  mv_free(centroids->group_starts);
  mv_free(centroids->numbers);
  mv_free(centroids->places);
  mv_free(centroids->group_of);
}
