/* A seeded random rotation of O(dim log dim) cost: rounds of random signs followed by a fast
 * Hadamard transform over the largest power of two that fits, taken from the front and from the
 * back in turn (a Kac walk; the construction used for RaBitQ, arXiv 2405.12497). It spreads a
 * residual's energy evenly over the dimensions, so that one table of levels fits them all, and
 * needs no matrix in the file. Any dim >= 1. Two rounds serve where the block is all of the vector,
 * four where the ends have to mix. */
#ifndef MV_CODEC_ROTATION_H
#define MV_CODEC_ROTATION_H

#include <stddef.h>
#include <stdint.h>

#include "../base/status.h"

typedef struct mv_rotation {
  uint64_t seed;
  size_t dim;
  size_t padded;
  size_t block; /* largest power of two <= dim */
  unsigned rounds;
  float *signs; /* [rounds][dim], +-1 / sqrt(block) inside the round's block, else +-1 */
} mv_rotation;

mv_status mv_rotation_init(mv_rotation *rotation, size_t dim, uint64_t seed);
void mv_rotation_free(mv_rotation *rotation);

/* out[padded] = rotated in[dim], zero-padded. */
void mv_rotation_apply(const mv_rotation *rotation, const float *in, float *out);
/* out[dim] = in[padded] rotated back. */
void mv_rotation_invert(const mv_rotation *rotation, const float *in, float *out);

#endif
