#include "term_scorer.h"

static const uint32_t NONE = UINT32_MAX;

mv_status mv_scorers_open(const mv_terms *terms, const mv_term_query *query, mv_term_scorer *out,
                          size_t *n) {
  *n = 0;
  for (size_t i = 0; i < query->terms.n; i++) {
    const uint32_t *starts = query->terms.starts + i;
    mv_term_scorer *one = &out[*n];
    int found;
    const mv_status status = mv_terms_find(terms, query->terms.bytes + starts[0],
                                           starts[1] - starts[0], &one->list, &found);
    if (status != MV_OK) return status;
    if (!found) continue;
    one->impact = mv_impact_of(query, i);
    one->run = 0;
    one->decoded = one->bounded = NONE;
    ++*n;
  }
  return MV_OK;
}

mv_status mv_scorer_decode(mv_term_scorer *scorer) {
  if (scorer->decoded == scorer->run) return MV_OK;
  scorer->decoded = NONE;
  const mv_term_postings *list = &scorer->list;
  const mv_status status =
      mv_postings_read(list, scorer->run, scorer->rows, scorer->values, &scorer->n);
  if (status != MV_OK) return status;
  float greatest = 0;
  for (uint32_t i = 0; i < scorer->n; i++) {
    scorer->gains[i] = mv_gain(&scorer->impact, list->terms, scorer->rows[i], scorer->values[i]);
    greatest = scorer->gains[i] > greatest ? scorer->gains[i] : greatest;
  }
  if (list->n_runs == 1) {
    scorer->bounded = 0;
    scorer->bound = greatest;
  } else if (greatest > mv_scorer_bound(scorer, scorer->run)) {
    return MV_ERROR_CORRUPT;
  }
  scorer->decoded = scorer->run;
  scorer->at = 0;
  return MV_OK;
}

float mv_scorer_bound(mv_term_scorer *scorer, uint32_t run) {
  if (scorer->bounded != run) {
    mv_term_bound bounds[2];
    mv_postings_bounds(&scorer->list, run, bounds);
    scorer->bound = mv_bound_gain(&scorer->impact, scorer->list.terms, bounds);
    scorer->bounded = run;
  }
  return scorer->bound;
}

mv_status mv_scorer_gain(mv_term_scorer *scorer, uint32_t row, float *gain) {
  const mv_status status = mv_scorer_decode(scorer);
  if (status != MV_OK) return status;
  uint32_t at = scorer->at;
  while (at < scorer->n && scorer->rows[at] < row) at++;
  scorer->at = at;
  *gain = at < scorer->n && scorer->rows[at] == row ? scorer->gains[at] : 0;
  return MV_OK;
}
