/* The best rows of a query: MaxScore (Turtle and Flood, 1995) over windows of rows, with the bounds
 * of runs (block maxima; Ding and Suel, SIGIR 2011).
 *
 *   1. bound the gain of each term in the window; sort the terms by it
 *   2. the terms whose bounds together do not reach the worst row kept are not essential: a row
 *      that has no other term cannot enter
 *   3. sum the gains of the essential terms; rows whose sum and the other bounds reach the worst
 *      row kept are candidates
 *   4. look the candidates up in the other terms, highest bound first; drop a candidate as soon as
 *      it cannot enter any more
 *
 * Rows come in the order of places, so that a row enters only with a score above the worst. */
#include <string.h>

#include "../base/alloc.h"
#include "../ranking/topk.h"
#include "term_scorer.h"

enum { WINDOW = 2048, GROUP = 8 };

typedef struct ranked_term {
  mv_term_scorer *scorer;
  float bound;  /* in the window */
  double lower; /* sum of the bounds of the terms before it */
} ranked_term;

typedef struct search {
  const mv_terms *terms;
  const uint8_t *allowed;
  uint32_t segment;
  mv_term_scorer *scorers;
  ranked_term *ranked; /* by bound, ascending */
  size_t n;
  uint32_t first, behind; /* the window */
  mv_topk *top;
  float worst; /* a score that enters is above */
  size_t n_candidates;
  uint32_t rows[WINDOW];
  double sums[WINDOW];  /* of candidates */
  double gains[WINDOW]; /* of rows of the window; 0 between windows */
} search;

static int enters(const search *s, double sum) { return (float)sum > s->worst; }

static void update_worst(search *s) {
  s->worst = s->top->count < s->top->limit ? 0 : s->top->scores[0];
}

/* ---- windows ---- */

/* Begins the next window at the first row that a term can have; 0 at the end. */
static int next_window(search *s) {
  uint32_t first = s->terms->n_rows;
  for (size_t i = 0; i < s->n; i++) {
    mv_term_scorer *one = &s->scorers[i];
    mv_scorer_seek(one, s->behind);
    if (one->run == one->list.n_runs) continue;
    const uint32_t begin = mv_scorer_first(one, one->run);
    first = begin < first ? begin : first;
  }
  s->first = first > s->behind ? first : s->behind;
  const uint32_t left = s->terms->n_rows - s->first;
  s->behind = s->first + (left < WINDOW ? left : WINDOW);
  return left > 0;
}

/* Bounds of a term's gains in the window. */
static mv_status bound_term(const search *s, mv_term_scorer *one, float *bound) {
  *bound = 0;
  mv_scorer_seek(one, s->first);
  if (one->list.n_runs == 1) {
    const mv_status status = mv_scorer_decode(one);
    if (status != MV_OK) return status;
  }
  for (uint32_t run = one->run; run < one->list.n_runs; run++) {
    if (mv_scorer_first(one, run) >= s->behind) break;
    const float of_run = mv_scorer_bound(one, run);
    *bound = of_run > *bound ? of_run : *bound;
  }
  return MV_OK;
}

/* Ranks the terms; the number of those that are not essential. */
static mv_status rank_terms(search *s, size_t *n_others) {
  for (size_t i = 0; i < s->n; i++) {
    const mv_status status = bound_term(s, s->ranked[i].scorer, &s->ranked[i].bound);
    if (status != MV_OK) return status;
  }
  for (size_t i = 1; i < s->n; i++) { /* nearly sorted from the window before */
    const ranked_term moved = s->ranked[i];
    size_t at = i;
    for (; at > 0 && s->ranked[at - 1].bound > moved.bound; at--) s->ranked[at] = s->ranked[at - 1];
    s->ranked[at] = moved;
  }
  double sum = 0;
  *n_others = 0;
  for (size_t i = 0; i < s->n; i++) {
    s->ranked[i].lower = sum;
    sum += (double)s->ranked[i].bound;
    if (!enters(s, sum)) *n_others = i + 1;
  }
  return MV_OK;
}

/* ---- essential terms ---- */

/* Adds the gains of a term in the window; leaves out runs whose rows cannot enter. rest: bounds of
 * all other terms. */
static mv_status add_term(search *s, mv_term_scorer *one, double rest) {
  for (; one->run < one->list.n_runs; one->run++) {
    if (mv_scorer_first(one, one->run) >= s->behind) break;
    if (enters(s, (double)mv_scorer_bound(one, one->run) + rest)) {
      const mv_status status = mv_scorer_decode(one);
      if (status != MV_OK) return status;
      uint32_t at = one->at;
      while (at < one->n && one->rows[at] < s->first) at++;
      for (; at < one->n && one->rows[at] < s->behind; at++)
        s->gains[one->rows[at] - s->first] += (double)one->gains[at];
      one->at = at;
    }
    if (mv_postings_last(&one->list, one->run) >= s->behind) break;
  }
  return MV_OK;
}

/* Makes candidates of the allowed rows that enter if the others give them `rest`. */
static void collect(search *s, double rest) {
  double least = (double)s->worst * 0.999999 - rest;
  if (least < 0) least = 0;
  const uint32_t n = s->behind - s->first;
  s->n_candidates = 0;
  for (uint32_t first = 0; first < n; first += GROUP) {
    int any = 0;
    for (uint32_t i = first; i < first + GROUP; i++) any |= s->gains[i] > least;
    if (!any) continue;
    for (uint32_t i = first; i < first + GROUP; i++) {
      const uint32_t row = s->first + i;
      if (!(s->gains[i] > least) || !enters(s, s->gains[i] + rest)) continue;
      if (s->allowed != NULL && !(s->allowed[row / 8] >> row % 8 & 1)) continue;
      s->rows[s->n_candidates] = row;
      s->sums[s->n_candidates++] = s->gains[i];
    }
  }
  memset(s->gains, 0, n * sizeof(double));
}

/* ---- the other terms ---- */

/* Adds the gains of a term to the candidates; drops those that cannot enter. */
static mv_status look_up(search *s, const ranked_term *term) {
  mv_term_scorer *one = term->scorer;
  size_t kept = 0;
  for (size_t i = 0; i < s->n_candidates; i++) {
    const uint32_t row = s->rows[i];
    double sum = s->sums[i];
    if (!enters(s, sum + (double)term->bound + term->lower)) continue;
    mv_scorer_seek(one, row);
    if (one->run < one->list.n_runs && mv_scorer_first(one, one->run) <= row) {
      if (!enters(s, sum + (double)mv_scorer_bound(one, one->run) + term->lower)) continue;
      float gain;
      const mv_status status = mv_scorer_gain(one, row, &gain);
      if (status != MV_OK) return status;
      sum += (double)gain;
    }
    s->rows[kept] = row;
    s->sums[kept] = sum;
    kept += (size_t)enters(s, sum + term->lower);
  }
  s->n_candidates = kept;
  return MV_OK;
}

static void offer(search *s) {
  for (size_t i = 0; i < s->n_candidates; i++) {
    if (!enters(s, s->sums[i])) continue;
    mv_topk_offer(s->top, (mv_place){s->segment, s->rows[i]}, (float)s->sums[i]);
    update_worst(s);
  }
}

/* ---- the search ---- */

static mv_status search_window(search *s) {
  size_t n_others;
  mv_status status = rank_terms(s, &n_others);
  if (status != MV_OK || n_others == s->n) return status;
  const ranked_term *last = &s->ranked[s->n - 1];
  const double all = last->lower + (double)last->bound;
  for (size_t i = n_others; i < s->n && status == MV_OK; i++)
    status = add_term(s, s->ranked[i].scorer, all - (double)s->ranked[i].bound);
  if (status != MV_OK) return status;
  collect(s, s->ranked[n_others].lower);
  for (size_t i = n_others; i-- > 0 && s->n_candidates > 0;) {
    status = look_up(s, &s->ranked[i]);
    if (status != MV_OK) return status;
  }
  offer(s);
  return MV_OK;
}

static mv_status search_index(search *s, const mv_term_query *query) {
  mv_status status = mv_scorers_open(s->terms, query, s->scorers, &s->n);
  for (size_t i = 0; i < s->n; i++) s->ranked[i].scorer = &s->scorers[i];
  s->behind = 0;
  while (status == MV_OK && s->n > 0 && next_window(s)) status = search_window(s);
  return status;
}

mv_status mv_terms_best(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                        const uint8_t *const *allowed, size_t limit, mv_place *places,
                        float *scores, size_t *count) {
  *count = 0;
  if (limit == 0) return MV_OK;
  mv_topk top = {places, scores, limit, 0};
  search *s = mv_alloc(1, sizeof *s);
  mv_term_scorer *scorers = mv_alloc(query->terms.n, sizeof *scorers);
  ranked_term *ranked = mv_alloc(query->terms.n, sizeof *ranked);
  mv_status status = MV_ERROR_MEMORY;
  if (s != NULL && scorers != NULL && ranked != NULL) {
    memset(s, 0, sizeof *s);
    s->scorers = scorers;
    s->ranked = ranked;
    s->top = &top;
    status = MV_OK;
  }
  for (size_t i = 0; i < n && status == MV_OK; i++) {
    s->terms = terms[i];
    s->allowed = allowed[i];
    s->segment = (uint32_t)i;
    status = search_index(s, query);
  }
  mv_free(s);
  mv_free(scorers);
  mv_free(ranked);
  if (status != MV_OK) return status;
  mv_topk_sort(&top);
  *count = top.count;
  return MV_OK;
}
