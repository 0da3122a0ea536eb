/* Scores of given rows, and the rows that have all of several terms. The cost follows the given
 * rows (those of the rarest term): of a longer list the runs that have one of them are decoded. */
#include <stdlib.h>
#include <string.h>

#include "../base/alloc.h"
#include "term_scorer.h"

/* ---- scores ---- */

typedef struct asked {
  mv_place place;
  uint32_t number;
} asked;

static int by_place(const void *a, const void *b) {
  const mv_place x = ((const asked *)a)->place, y = ((const asked *)b)->place;
  if (x.segment != y.segment) return x.segment < y.segment ? -1 : 1;
  return (x.document > y.document) - (x.document < y.document);
}

/* Scores n rows of one index, in order. */
static mv_status score_rows(mv_term_scorer *scorers, size_t n_scorers, const asked *rows, size_t n,
                            float *scores) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t row = rows[i].place.document;
    double sum = 0;
    for (size_t t = 0; t < n_scorers; t++) {
      float gain = 0;
      mv_scorer_seek(&scorers[t], row);
      if (scorers[t].run == scorers[t].list.n_runs) continue;
      const mv_status status = mv_scorer_gain(&scorers[t], row, &gain);
      if (status != MV_OK) return status;
      sum += (double)gain;
    }
    scores[rows[i].number] = (float)sum;
  }
  return MV_OK;
}

static mv_status score_sorted(const mv_terms *const *terms, const mv_term_query *query,
                              mv_term_scorer *scorers, const asked *rows, size_t n, float *scores) {
  for (size_t first = 0, behind; first < n; first = behind) {
    const uint32_t segment = rows[first].place.segment;
    for (behind = first; behind < n && rows[behind].place.segment == segment;) behind++;
    size_t n_scorers;
    mv_status status = mv_scorers_open(terms[segment], query, scorers, &n_scorers);
    if (status == MV_OK)
      status = score_rows(scorers, n_scorers, rows + first, behind - first, scores);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

mv_status mv_terms_score(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                         const mv_place *places, size_t n_places, float *scores) {
  for (size_t i = 0; i < n_places; i++) {
    if (places[i].segment >= n || places[i].document >= terms[places[i].segment]->n_rows)
      return MV_ERROR_ARGUMENT;
  }
  asked *rows = mv_alloc(n_places, sizeof *rows);
  mv_term_scorer *scorers = mv_alloc(query->terms.n, sizeof *scorers);
  mv_status status = MV_ERROR_MEMORY;
  if (rows != NULL && scorers != NULL) {
    for (size_t i = 0; i < n_places; i++) rows[i] = (asked){places[i], (uint32_t)i};
    qsort(rows, n_places, sizeof *rows, by_place);
    status = score_sorted(terms, query, scorers, rows, n_places, scores);
  }
  mv_free(rows);
  mv_free(scorers);
  return status;
}

/* ---- rows with all terms ---- */

static int by_length(const void *a, const void *b) {
  const uint32_t x = ((const mv_term_postings *)a)->n, y = ((const mv_term_postings *)b)->n;
  return (x > y) - (x < y);
}

/* The lists of all terms, the shortest first; *n is 0 when a term has none. */
static mv_status find_lists(const mv_terms *terms, const mv_term_names *names,
                            mv_term_postings *lists, size_t *n) {
  *n = 0;
  for (size_t i = 0; i < names->n; i++) {
    const uint32_t *starts = names->starts + i;
    int found;
    const mv_status status =
        mv_terms_find(terms, names->bytes + starts[0], starts[1] - starts[0], &lists[i], &found);
    if (status != MV_OK || !found) return status;
  }
  *n = names->n;
  qsort(lists, *n, sizeof *lists, by_length);
  return MV_OK;
}

static mv_status mark_rows(const mv_term_postings *list, uint8_t *has) {
  for (uint32_t run = 0; run < list->n_runs; run++) {
    uint32_t rows[MV_TERMS_RUN], n;
    uint16_t values[MV_TERMS_RUN];
    const mv_status status = mv_postings_read(list, run, rows, values, &n);
    if (status != MV_OK) return status;
    for (uint32_t i = 0; i < n; i++) has[rows[i]] = 1;
  }
  return MV_OK;
}

/* Unmarks the rows that a list lacks: the rows of a run are doubled in it, then taken down. */
static mv_status keep_rows(const mv_term_postings *list, uint32_t n_rows, uint8_t *has) {
  uint32_t behind = 0; /* rows before are done */
  for (uint32_t run = 0; run < list->n_runs; run++) {
    const uint32_t last = mv_postings_last(list, run);
    if (last < behind || last >= n_rows) return MV_ERROR_CORRUPT;
    const size_t size = (size_t)last + 1 - behind;
    if (memchr(has + behind, 1, size) != NULL) {
      uint32_t rows[MV_TERMS_RUN], n;
      uint16_t values[MV_TERMS_RUN];
      const mv_status status = mv_postings_read(list, run, rows, values, &n);
      if (status != MV_OK) return status;
      for (uint32_t i = 0; i < n; i++) has[rows[i]] = (uint8_t)(has[rows[i]] << 1);
      for (size_t i = 0; i < size; i++) has[behind + i] >>= 1;
    }
    behind = last + 1;
  }
  memset(has + behind, 0, n_rows - behind);
  return MV_OK;
}

mv_status mv_terms_containing(const mv_terms *terms, const mv_term_names *names, uint8_t *has) {
  mv_term_postings *lists = mv_alloc(names->n, sizeof *lists);
  if (lists == NULL) return MV_ERROR_MEMORY;
  size_t n;
  mv_status status = find_lists(terms, names, lists, &n);
  memset(has, n > 0 || names->n > 0 ? 0 : 1, terms->n_rows);
  if (status == MV_OK && n > 0) status = mark_rows(&lists[0], has);
  for (size_t i = 1; i < n && status == MV_OK; i++)
    status = keep_rows(&lists[i], terms->n_rows, has);
  mv_free(lists);
  return status;
}
