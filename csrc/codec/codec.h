/* The inside of an mv_codec: immutable once made, shared by threads, freed by mv_codec_free. */
#ifndef MV_CODEC_CODEC_H
#define MV_CODEC_CODEC_H

#include "../centroids/centroids.h"
#include "../vectors/rotation.h"
#include "levels.h"

struct mv_codec {
  size_t dim;
  size_t padded;
  unsigned bits;
  size_t code_bytes;
  size_t packed_bytes; /* of a token's residual codes */
  size_t token_bytes;
  const mv_levels *levels;
  mv_rotation rotation;
  mv_centroids centroids;
  float a_scales[MV_SCALES];
  float b_scales[MV_SCALES];
};

/* A centroid's vector: rotated, padded. */
void mv_load_centroid(const mv_codec *codec, size_t number, float *out);

#endif
