#include "codec.h"

#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../kernels/centroid_code.h"
#include "../kernels/kernels.h"
#include "../vectors/points.h"

static mv_status check_spec(const mv_codec_spec *spec, const mv_codec_sizes *sizes) {
  if (spec->dim < 1 || spec->dim > MV_MAX_DIM) return MV_ERROR_CORRUPT;
  if (mv_levels_get(spec->bits) == NULL) return MV_ERROR_CORRUPT;
  if (sizes->a_scales != MV_SCALES || sizes->b_scales != MV_SCALES) return MV_ERROR_CORRUPT;
  for (int i = 0; i < MV_SCALES; i++) {
    if (!isfinite(spec->a_scales[i]) || !isfinite(spec->b_scales[i])) return MV_ERROR_CORRUPT;
    if (i > 0 && spec->a_scales[i] < spec->a_scales[i - 1]) return MV_ERROR_CORRUPT;
    if (i > 0 && spec->b_scales[i] < spec->b_scales[i - 1]) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
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
  codec->code_bytes = mv_code_bytes(spec->n_centroids);
  codec->packed_bytes = codec->padded * spec->bits / 8;
  codec->token_bytes = mv_token_bytes(spec->dim, spec->bits);
  codec->levels = mv_levels_get(spec->bits);
  memcpy(codec->a_scales, spec->a_scales, sizeof(codec->a_scales));
  memcpy(codec->b_scales, spec->b_scales, sizeof(codec->b_scales));
  status = mv_centroids_init(&codec->centroids, spec, sizes);
  if (status == MV_OK) status = mv_rotation_init(&codec->rotation, codec->dim, spec->seed);
  if (status == MV_OK) {
    *out = codec;
  } else {
    mv_codec_free(codec);
  }
  return status;
}

void mv_codec_free(mv_codec *codec) {
  if (codec == NULL) return;
  mv_rotation_free(&codec->rotation);
  mv_centroids_free(&codec->centroids);
  mv_free(codec);
}

/* The greatest of n codes; of none 0. */
static uint32_t greatest_of(const uint8_t *codes, size_t first, size_t n, size_t code_bytes) {
  uint32_t greatest = 0;
  for (size_t i = first; i < first + n; i++) {
    const uint32_t code = (uint32_t)mv_code_read(codes, i, code_bytes);
    greatest = code > greatest ? code : greatest;
  }
  return greatest;
}

mv_status mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t size,
                         size_t code_bytes) {
  if ((code_bytes != 2 && code_bytes != 3) || size % code_bytes != 0) return MV_ERROR_CORRUPT;
  const uint32_t greatest = greatest_of(codes, 0, size / code_bytes, code_bytes);
  return greatest < codec->centroids.n ? MV_OK : MV_ERROR_CORRUPT;
}

mv_status mv_greatest_codes(const uint8_t *codes, size_t size, size_t code_bytes,
                            const uint32_t *lengths, size_t n, uint32_t *greatest) {
  size_t first = 0;
  for (size_t i = 0; i < n; i++) {
    if (lengths[i] > size / code_bytes - first) return MV_ERROR_ARGUMENT;
    greatest[i] = greatest_of(codes, first, lengths[i], code_bytes);
    first += lengths[i];
  }
  return MV_OK;
}

void mv_load_centroid(const mv_codec *codec, size_t number, float *out) {
  const uint8_t *row = mv_centroid_row(&codec->centroids, number);
  const float unit = 1.0f / mv_point_scale(codec->dim);
  mv_kernels_get()->from_bytes(row, codec->padded, 128, unit, out);
}
