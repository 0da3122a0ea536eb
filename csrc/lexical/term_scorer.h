/* A term of a query in one index, moving forward over its runs; the run under it is decoded at most
 * once. */
#ifndef MV_LEXICAL_TERM_SCORER_H
#define MV_LEXICAL_TERM_SCORER_H

#include "impact.h"
#include "term_block.h"

typedef struct mv_term_scorer {
  mv_term_postings list;
  mv_impact impact;
  uint32_t run;     /* the run under it; n_runs at the end */
  uint32_t decoded; /* the run in the arrays; UINT32_MAX: none */
  uint32_t bounded; /* the run that `bound` is of; UINT32_MAX: none */
  float bound;
  uint32_t n;  /* postings of the decoded run */
  uint32_t at; /* postings that mv_scorer_gain has passed */
  uint32_t rows[MV_TERMS_RUN];
  uint16_t values[MV_TERMS_RUN];
  float gains[MV_TERMS_RUN];
} mv_term_scorer;

/* The scorers of the query's terms that an index has: out has room for all terms. */
mv_status mv_scorers_open(const mv_terms *terms, const mv_term_query *query, mv_term_scorer *out,
                          size_t *n);

/* Moves to the run that may have `row`, or the next one behind it. */
static inline void mv_scorer_seek(mv_term_scorer *scorer, uint32_t row) {
  if (scorer->run < scorer->list.n_runs && mv_postings_last(&scorer->list, scorer->run) < row)
    scorer->run = mv_postings_find(&scorer->list, scorer->run, row);
}

/* The first row that a run can have. */
static inline uint32_t mv_scorer_first(const mv_term_scorer *scorer, uint32_t run) {
  return run == 0 ? 0 : mv_postings_last(&scorer->list, run - 1) + 1;
}

/* Not below the gain of a posting of the run. */
float mv_scorer_bound(mv_term_scorer *scorer, uint32_t run);
/* Decodes the run under it, with gains. */
mv_status mv_scorer_decode(mv_term_scorer *scorer);
/* The gain of a row in the run under it, 0 when it is not there. Rows ascend from call to call. */
mv_status mv_scorer_gain(mv_term_scorer *scorer, uint32_t row, float *gain);

#endif
