/* Quantisation levels of a residual's dimensions: frozen, part of the file format.
 *
 * 1, 2 and 4 bits: the Lloyd-Max levels of a normal distribution (Max 1960; after the rotation a
 * residual's dimensions are close to normal), as integers around MV_LEVEL_ZERO that fit seven bits
 * (kernels.h: dot7). 8 bits: uniform around 128. Only ratios matter: a token's scale maps levels to
 * lengths. */
#ifndef MV_CODEC_LEVELS_H
#define MV_CODEC_LEVELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct mv_levels {
  unsigned bits;
  int zero;             /* the byte that stands for 0 */
  float sigma;          /* level units per standard deviation, to start the scale from */
  size_t n_thresholds;  /* 2^bits - 1, or 0 when uniform (8 bits) */
  float thresholds[15]; /* midpoints between neighbouring levels, in level units */
  uint8_t bytes[16];    /* level bytes by code, ascending; unused when uniform */
} mv_levels;

/* NULL unless bits is 1, 2, 4 or 8. */
const mv_levels *mv_levels_get(unsigned bits);

#endif
