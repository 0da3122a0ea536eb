/* Inside of an mv_codec, shared by the codec, assignment and search. */
#ifndef MV_CODEC_CODEC_H
#define MV_CODEC_CODEC_H

#include "../mvdb.h"
#include "levels.h"
#include "rotation.h"

struct mv_codec {
  size_t dim;
  size_t padded;
  unsigned bits;
  uint32_t n_centroids;
  uint32_t n_groups;
  size_t code_bytes;
  size_t packed_bytes; /* of a token's residual codes */
  size_t token_bytes;
  const mv_levels *levels;
  mv_rotation rotation;
  uint8_t *rows;
  uint8_t *group_rows;
  uint32_t *group_starts;
  float row_norm; /* greatest Euclidean length of a centroid row, as integers around 128 */
  float a_scales[MV_SCALES];
  float b_scales[MV_SCALES];
};

/* int8 units per unit length of points and centroid rows: after the rotation, values beyond six
 * standard deviations of a random direction are rare enough to clip. */
float mv_point_scale(size_t dim);

/* The int8 point of a rotated unit vector. */
void mv_point_quantise(size_t dim, size_t padded, const float *rotated, int8_t *point);

/* Rounds half away from zero and clips to -127..127; not a number becomes -127. */
static inline int mv_round_int8(float x) {
  /* Clipped before the conversion, without branches, so that loops over it vectorise. */
  float low = x > -127.0f ? x : -127.0f;
  float clipped = low < 127.0f ? low : 127.0f;
  return (int)(clipped + (clipped < 0.0f ? -0.5f : 0.5f));
}

static inline uint32_t mv_code_read(const uint8_t *codes, size_t i, size_t code_bytes) {
  const uint8_t *p = codes + i * code_bytes;
  uint32_t code = (uint32_t)p[0] | (uint32_t)p[1] << 8;
  return code_bytes == 3 ? code | (uint32_t)p[2] << 16 : code;
}

static inline void mv_code_write(uint8_t *codes, size_t i, size_t code_bytes, uint32_t code) {
  uint8_t *p = codes + i * code_bytes;
  p[0] = (uint8_t)(code & 255);
  p[1] = (uint8_t)(code >> 8 & 255);
  if (code_bytes == 3) p[2] = (uint8_t)(code >> 16 & 255);
}

#endif
