/* Decoding of records: vectors, and the centroids that are nearest to them today. */
#include "../base/alloc.h"
#include "../kernels/centroid_code.h"
#include "../vectors/points.h"
#include "codec.h"

/* The sizes of codes and of a record of n tokens, and the codes. */
static mv_status check(const mv_codec *codec, const uint8_t *codes, size_t codes_size,
                       size_t code_bytes, size_t record_size, size_t n) {
  if (n > SIZE_MAX / codec->token_bytes || record_size != n * codec->token_bytes)
    return MV_ERROR_CORRUPT;
  const mv_status status = mv_codes_check(codec, codes, codes_size, code_bytes);
  return status == MV_OK && codes_size != n * code_bytes ? MV_ERROR_CORRUPT : status;
}

/* Token i of a record of n tokens, whose centroid is given: rotated, padded. */
static void decode_token(const mv_codec *codec, size_t centroid, const uint8_t *record, size_t i,
                         size_t n, float *row) {
  const mv_levels *levels = codec->levels;
  const size_t width = codec->packed_bytes;
  const unsigned bits = codec->bits, mask = (1u << bits) - 1u;
  const float a = codec->a_scales[record[i]], b = codec->b_scales[record[n + i]];
  const uint8_t *packed = record + 2 * n + i * width;
  mv_load_centroid(codec, centroid, row);
  for (unsigned plane = 0; plane < 8 / bits; plane++) {
    float *part = row + plane * width;
    for (size_t j = 0; j < width; j++) {
      const unsigned code = (unsigned)packed[j] >> (plane * bits) & mask;
      const int level = (int)(levels->n_thresholds == 0 ? code : levels->bytes[code]);
      part[j] = a * part[j] + b * (float)(level - levels->zero);
    }
  }
}

mv_status mv_decode(const mv_codec *codec, const uint8_t *codes, size_t codes_size,
                    size_t code_bytes, const uint8_t *record, size_t record_size, size_t n_tokens,
                    float *out) {
  const mv_status status = check(codec, codes, codes_size, code_bytes, record_size, n_tokens);
  if (status != MV_OK) return status;
  float *row = mv_alloc(codec->padded, sizeof(float));
  if (row == NULL) return MV_ERROR_MEMORY;
  for (size_t i = 0; i < n_tokens; i++) {
    decode_token(codec, mv_code_read(codes, i, code_bytes), record, i, n_tokens, row);
    mv_rotation_invert(&codec->rotation, row, out + i * codec->dim);
  }
  mv_free(row);
  return MV_OK;
}

mv_status mv_near_groups_new(const mv_codec *codec, mv_near_groups **out) {
  mv_near_groups *near = mv_alloc(1, sizeof(*near));
  if (near == NULL) return MV_ERROR_MEMORY;
  const mv_status status = mv_near_groups_init(near, &codec->centroids);
  if (status == MV_OK) {
    *out = near;
  } else {
    mv_near_groups_free(near);
  }
  return status;
}

void mv_near_groups_free(mv_near_groups *near) {
  if (near == NULL) return;
  mv_near_groups_clear(near);
  mv_free(near);
}

mv_status mv_nearest_codes(const mv_codec *codec, const mv_near_groups *near, const uint8_t *codes,
                           size_t codes_size, size_t code_bytes, const uint8_t *record,
                           size_t record_size, const uint32_t *lengths, size_t n_documents,
                           uint8_t *out) {
  size_t n = 0;
  for (size_t i = 0; i < n_documents; i++) n += lengths[i];
  mv_status status = check(codec, codes, codes_size, code_bytes, record_size, n);
  if (status != MV_OK) return status;
  float *row = mv_alloc(codec->padded, sizeof(float));
  int8_t *points = mv_alloc(n, codec->padded);
  uint32_t *numbers = mv_alloc(n, sizeof(uint32_t));
  if (row == NULL || points == NULL || numbers == NULL) status = MV_ERROR_MEMORY;
  size_t at = 0;
  for (size_t i = 0; status == MV_OK && i < n_documents; i++) {
    for (size_t t = 0; t < lengths[i]; t++, at++) {
      numbers[at] = (uint32_t)mv_code_read(codes, at, code_bytes);
      decode_token(codec, numbers[at], record, t, lengths[i], row);
      mv_point_quantise(codec->dim, codec->padded, row, points + at * codec->padded);
    }
    record += lengths[i] * codec->token_bytes;
  }
  if (status == MV_OK) status = mv_centroids_reassign(&codec->centroids, near, points, n, numbers);
  for (size_t i = 0; status == MV_OK && i < n; i++)
    mv_code_write(out, i, codec->code_bytes, numbers[i]);
  mv_free(row);
  mv_free(points);
  mv_free(numbers);
  return status;
}
