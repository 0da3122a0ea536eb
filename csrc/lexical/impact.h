/* What a posting adds to a row's score (formula: mv_term_query in terms.h).
 *
 * A gain is computed in float32 and summed in float64: sums of few floats are exact or nearly so,
 * so that the order of summation does not show in the score, a float32. */
#ifndef MV_LEXICAL_IMPACT_H
#define MV_LEXICAL_IMPACT_H

#include "term_bounds.h"

typedef struct mv_impact {
  float weight;
  float base, slope; /* k1 * (1 - b), k1 * b / average */
} mv_impact;

static inline mv_impact mv_impact_of(const mv_term_query *query, size_t term) {
  return (mv_impact){query->weights[term], query->k1 * (1 - query->b),
                     query->k1 * query->b / query->average};
}

static inline float mv_gain_of_word(const mv_impact *impact, uint16_t value, uint16_t length) {
  const float count = (float)value;
  return impact->weight * (count / (count + (impact->base + impact->slope * (float)length)));
}

static inline float mv_gain_of_weight(const mv_impact *impact, uint16_t value) {
  return impact->weight * mv_value_weight(value);
}

/* The gain of a posting of a row. */
static inline float mv_gain(const mv_impact *impact, const mv_terms *terms, uint32_t row,
                            uint16_t value) {
  return terms->lengths != NULL ? mv_gain_of_word(impact, value, terms->lengths[row])
                                : mv_gain_of_weight(impact, value);
}

/* Not below the gain of any posting within the bounds; the last factor is for rounding. */
static inline float mv_bound_gain(const mv_impact *impact, const mv_terms *terms,
                                  const mv_term_bound bounds[2]) {
  float gains[2];
  for (int i = 0; i < 2; i++) {
    gains[i] = terms->lengths != NULL ? mv_gain_of_word(impact, bounds[i].value, bounds[i].length)
                                      : mv_gain_of_weight(impact, bounds[i].value);
  }
  return (gains[0] > gains[1] ? gains[0] : gains[1]) * 1.000001F;
}

#endif
