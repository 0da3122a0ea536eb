#include "codec.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../kernels/kernels.h"

size_t mv_padded_dim(size_t dim) { return (dim + MV_DIM_STEP - 1) / MV_DIM_STEP * MV_DIM_STEP; }

size_t mv_token_bytes(size_t dim, unsigned bits) {
  return bits == 16 ? dim * 2 : mv_padded_dim(dim) * bits / 8 + 2;
}

size_t mv_code_bytes(size_t n_centroids) { return n_centroids <= 65536 ? 2 : 3; }

const char *mv_isa(void) { return mv_kernels_get()->name; }

int mv_isa_select(const char *name) { return mv_kernels_select(name); }

float mv_point_scale(size_t dim) {
  float clip = 6.0f / sqrtf((float)dim);
  return 127.0f / (clip < 1.0f ? clip : 1.0f);
}

static mv_status check_spec(const mv_codec_spec *spec, const mv_codec_sizes *sizes) {
  if (spec->dim < 1 || spec->dim > MV_MAX_DIM) return MV_ERROR_CORRUPT;
  if (mv_levels_get(spec->bits) == NULL) return MV_ERROR_CORRUPT;
  if (spec->n_centroids < 1 || spec->n_centroids > MV_MAX_CENTROIDS) return MV_ERROR_CORRUPT;
  if (spec->n_groups < 1 || spec->n_groups > spec->n_centroids) return MV_ERROR_CORRUPT;
  size_t padded = mv_padded_dim(spec->dim);
  if (sizes->rows != spec->n_centroids * padded || sizes->group_rows != spec->n_groups * padded ||
      sizes->group_starts != (size_t)spec->n_groups + 1 || sizes->a_scales != MV_SCALES ||
      sizes->b_scales != MV_SCALES)
    return MV_ERROR_CORRUPT;
  const uint32_t *starts = spec->group_starts;
  if (starts[0] != 0 || starts[spec->n_groups] != spec->n_centroids) return MV_ERROR_CORRUPT;
  for (uint32_t g = 0; g < spec->n_groups; g++) {
    if (starts[g] > starts[g + 1]) return MV_ERROR_CORRUPT;
  }
  for (int i = 0; i < MV_SCALES; i++) {
    if (!isfinite(spec->a_scales[i]) || !isfinite(spec->b_scales[i])) return MV_ERROR_CORRUPT;
    if (i > 0 && spec->a_scales[i] < spec->a_scales[i - 1]) return MV_ERROR_CORRUPT;
    if (i > 0 && spec->b_scales[i] < spec->b_scales[i - 1]) return MV_ERROR_CORRUPT;
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

mv_status mv_codec_new(const mv_codec_spec *spec, const mv_codec_sizes *sizes, mv_codec **out) {
  mv_status status = check_spec(spec, sizes);
  if (status != MV_OK) return status;
  mv_codec *codec = mv_alloc(1, sizeof(*codec));
  if (codec == NULL) return MV_ERROR_MEMORY;
  memset(codec, 0, sizeof(*codec));
  codec->dim = spec->dim;
  codec->padded = mv_padded_dim(spec->dim);
  codec->bits = spec->bits;
  codec->n_centroids = spec->n_centroids;
  codec->n_groups = spec->n_groups;
  codec->code_bytes = mv_code_bytes(spec->n_centroids);
  codec->packed_bytes = codec->padded * spec->bits / 8;
  codec->token_bytes = mv_token_bytes(spec->dim, spec->bits);
  codec->levels = mv_levels_get(spec->bits);
  codec->rows = copy_of(spec->rows, spec->n_centroids, codec->padded);
  codec->group_rows = copy_of(spec->group_rows, spec->n_groups, codec->padded);
  codec->group_starts =
      copy_of(spec->group_starts, (size_t)spec->n_groups + 1, sizeof(*codec->group_starts));
  memcpy(codec->a_scales, spec->a_scales, sizeof(codec->a_scales));
  memcpy(codec->b_scales, spec->b_scales, sizeof(codec->b_scales));
  status = mv_rotation_init(&codec->rotation, codec->dim, spec->seed);
  if (status != MV_OK || codec->rows == NULL || codec->group_rows == NULL ||
      codec->group_starts == NULL) {
    mv_codec_free(codec);
    return MV_ERROR_MEMORY;
  }
  codec->row_norm = longest_row(codec->rows, codec->n_centroids, codec->padded);
  *out = codec;
  return MV_OK;
}

void mv_codec_free(mv_codec *codec) {
  if (codec == NULL) return;
  mv_rotation_free(&codec->rotation);
  mv_free(codec->rows);
  mv_free(codec->group_rows);
  mv_free(codec->group_starts);
  mv_free(codec);
}

mv_status mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t size,
                         size_t code_bytes) {
  if ((code_bytes != 2 && code_bytes != 3) || size % code_bytes != 0) return MV_ERROR_CORRUPT;
  uint32_t greatest = 0;
  for (size_t i = 0; i < size / code_bytes; i++) {
    uint32_t code = mv_code_read(codes, i, code_bytes);
    greatest = code > greatest ? code : greatest;
  }
  return greatest < codec->n_centroids ? MV_OK : MV_ERROR_CORRUPT;
}
