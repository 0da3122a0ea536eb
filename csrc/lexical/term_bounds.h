/* Bounds of a run's scores in four bytes, and the bytes in which weights are kept.
 *
 * A score rises with the value and falls with the length, so that (greatest value, least length)
 * bounds a run. Two such pairs bound it closer: one for the postings of value up to a limit, one
 * for the others. The limit is chosen where the bound is lowest for k1 = 1.2, b = .75 and the
 * average length of the index; the pairs hold for all parameters. */
#ifndef MV_LEXICAL_TERM_BOUNDS_H
#define MV_LEXICAL_TERM_BOUNDS_H

#include "terms.h"

enum { MV_BOUND_BYTES = 4, MV_MOST_WEIGHT_VALUE = 4095 };

typedef struct mv_term_bound {
  uint16_t value;  /* at most */
  uint16_t length; /* at least */
} mv_term_bound;

/* Writes the bounds of n >= 1 postings; lengths: of all rows, NULL for weights. */
void mv_bounds_write(const uint32_t *rows, const uint16_t *values, uint32_t n,
                     const uint16_t *lengths, float average, uint8_t out[MV_BOUND_BYTES]);
/* The two bounds. */
void mv_bounds_read(const uint8_t in[MV_BOUND_BYTES], int has_lengths, mv_term_bound bounds[2]);

/* A weight is a value 1..4095: the upper bits of its float32, 5 of the exponent and 7 of the
 * mantissa, to the nearest: an error of 1/256 at most. Weights below that of 1 are 1. */
uint16_t mv_weight_value(float weight);
float mv_value_weight(uint16_t value);

#endif
