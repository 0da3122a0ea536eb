/* Ranking by codes, then by stored vectors. Documents are given best first by an estimate, and
 * scored until the rest cannot be among the best k:
 *
 *   1. score the first ones: their gaps between score and estimate say how far a document may rise
 *   2. score the others that may so rise to the k-th best score
 *   3. where the scores are of near tokens alone, the same again with them as estimates, by the
 *      other tokens too
 *
 * The best of them are then refined with the query in int16. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../ranking/topk.h"
#include "scores.h"
#include "stages.h"

enum {
  FIRST_INTERACTED = 256, /* documents that are ranked by their codes in any case, or 2 k, or */
  INTERACTED_PART = 6,    /* one of so many */
  FIRST_CANDIDATES = 64,  /* documents that are scored in any case, or 2 k */
  FIRST_WHOLE = 24,       /* of those scored in part, those scored by all tokens, or 2 k */
  MOST_PARTS = 512        /* documents whose parts are kept until they are scored by all tokens */
};

/* The same as `deviations` for scores in part. The best ones have the least gaps, which make too
 * little of the others'. */
#define WHOLE_DEVIATIONS 6.0

/* Deviations for gains of lists, in those for scores: gains of documents far behind fall short of
 * their scores by more. */
#define OF_GAINS (4.0 / 3.0)

typedef struct ranking {
  mv_query *query;
  const mv_segment *segments;
  size_t n_segments;
  mv_place *places; /* [n] */
  float *scores;    /* [n] of the stage before, descending */
  float *fresh;     /* [n] of this stage */
  size_t n;
  mv_topk best; /* room for the best k */
  const float *others;
  size_t n_others;
  mv_parts parts; /* room for those of the first documents; none where tables are full */
} ranking;

static mv_status reserve(ranking *r, size_t k) {
  const size_t all = r->n + r->n_others, limit = k < all ? k : all;
  const size_t bytes = sizeof(mv_place) + sizeof(float);
  uint8_t *memory = mv_query_reserve(r->query, MV_MEMORY_RANKING, limit + r->n, bytes);
  if (memory == NULL) return MV_ERROR_MEMORY;
  r->best.places = (mv_place *)memory;
  r->best.scores = (float *)(memory + limit * sizeof(mv_place));
  r->best.limit = limit;
  r->fresh = r->best.scores + limit;
  return MV_OK;
}

static mv_status reserve_parts(ranking *r) {
  const size_t n = r->n < MOST_PARTS ? r->n : MOST_PARTS;
  const size_t bytes = sizeof(mv_place) + r->query->m * sizeof(float);
  uint8_t *memory = mv_query_reserve(r->query, MV_MEMORY_PARTS, n, bytes);
  if (memory == NULL) return MV_ERROR_MEMORY;
  memcpy(memory, r->places, n * sizeof(mv_place));
  r->parts.places = (const mv_place *)memory;
  r->parts.best = (float *)(memory + n * sizeof(mv_place));
  r->parts.n = n;
  return MV_OK;
}

/* The k-th best of n scores and of the others, whatever their places. */
static float kth_score(ranking *r, const float *scores, size_t n) {
  const mv_place nowhere = {0, 0};
  r->best.count = 0;
  for (size_t i = 0; i < n; i++) mv_topk_offer(&r->best, nowhere, scores[i]);
  for (size_t i = 0; i < r->n_others; i++) mv_topk_offer(&r->best, nowhere, r->others[i]);
  return r->best.count > 0 ? r->best.scores[0] : -FLT_MAX;
}

/* What a better score adds to a document's at most, by the gaps of the first n. */
static double reach(const ranking *r, size_t n, double deviations) {
  double sum = 0.0, squares = 0.0;
  for (size_t i = 0; i < n; i++) {
    const double gap = (double)r->fresh[i] - (double)r->scores[i];
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
  return mean + deviations * sqrt(variance > 0.0 ? variance : 0.0);
}

/* How many of n documents a stage scores in any case: at least `least`, and 2 k. */
static size_t first_of(size_t n, size_t least, size_t k) {
  const size_t first = 2 * k > least ? 2 * k : least;
  return first < n ? first : n;
}

/* How many documents may be among the best k, by the scores of the first and the estimates of
 * all. */
static size_t wanted_after(ranking *r, size_t first, double deviations) {
  const double least = (double)kth_score(r, r->fresh, first) - reach(r, first, deviations);
  size_t wanted = first;
  while (wanted < r->n && (double)r->scores[wanted] >= least) wanted++;
  return wanted;
}

size_t mv_first_interacted(size_t n, size_t k) {
  const size_t part = n / INTERACTED_PART;
  return first_of(n, part > FIRST_INTERACTED ? part : FIRST_INTERACTED, k);
}

mv_status mv_interact_first(mv_query *query, const mv_segment *segments, size_t n_segments,
                            mv_place *places, float *scores, size_t n, size_t first, size_t k,
                            double deviations, size_t *wanted) {
  ranking r = {query, segments, n_segments, places, scores, NULL, n, {0}, NULL, 0, {0}};
  mv_status status = reserve(&r, k);
  if (status == MV_OK) status = mv_interact(query, segments, n_segments, places, first, r.fresh);
  if (status != MV_OK) return status;
  *wanted = wanted_after(&r, first, OF_GAINS * deviations);
  memcpy(scores, r.fresh, first * sizeof(float));
  return MV_OK;
}

/* Scores documents `from` .. `to` - 1. */
static mv_status score(ranking *r, size_t from, size_t to, int mode) {
  mv_parts parts = r->parts;
  if (mode == MV_SCORE_PART && parts.n > 0) { /* in the order of the documents */
    const size_t before = from < parts.n ? from : parts.n;
    parts.places += before;
    parts.best += before * r->query->m;
    parts.n -= before;
  }
  return mv_score_with(r->query, r->segments, r->n_segments, r->places + from, to - from, mode,
                       &parts, r->fresh + from);
}

/* One stage: the first *wanted documents have to be scored. If no more than `ready`, they are. */
static mv_status score_until(ranking *r, size_t first, double deviations, int mode, size_t ready,
                             size_t *wanted) {
  first = first_of(r->n, first, r->best.limit);
  *wanted = first;
  if (first > ready || first == 0) return MV_OK;
  mv_status status = score(r, 0, first, mode);
  if (status != MV_OK) return status;
  *wanted = wanted_after(r, first, deviations);
  if (*wanted > ready) return MV_OK;
  status = score(r, first, *wanted, mode);
  if (status == MV_OK) memcpy(r->scores, r->fresh, *wanted * sizeof(float));
  return status;
}

static int scores_parts(const mv_query *query, const mv_segment *segments, size_t n_segments) {
  for (size_t s = 0; s < n_segments; s++) {
    const mv_codec *codec = segments[s].codec;
    if (codec != NULL && mv_has_partial_tables(query, codec)) return 1;
  }
  return 0;
}

mv_status mv_rank(mv_query *query, const mv_segment *segments, size_t n_segments, mv_place *places,
                  float *scores, size_t n, size_t ready, size_t k, double deviations,
                  const float *others, size_t n_others, size_t *wanted, size_t *count) {
  ranking r = {query, segments, n_segments, places, scores, NULL, n, {0}, others, n_others, {0}};
  const int in_parts = scores_parts(query, segments, n_segments);
  mv_status status = reserve(&r, k);
  if (status == MV_OK && n > 0 && in_parts) status = reserve_parts(&r);
  if (status != MV_OK) return status;
  status = score_until(&r, FIRST_CANDIDATES, deviations, MV_SCORE_PART, ready, wanted);
  *count = *wanted;
  if (status != MV_OK || *wanted > ready || !in_parts) return status;
  mv_topk_order(places, scores, *wanted);
  r.n = *wanted;
  return score_until(&r, FIRST_WHOLE, WHOLE_DEVIATIONS, MV_SCORE_FAST, r.n, count);
}

/* Keeps the documents whose score in `from` is at least `least`, with it; their number. */
static size_t keep_best(ranking *r, const float *from, double least) {
  size_t kept = 0;
  for (size_t i = 0; i < r->n; i++) {
    if ((double)from[i] < least) continue;
    r->places[kept] = r->places[i];
    r->scores[kept++] = from[i];
  }
  return kept;
}

mv_status mv_refine(mv_query *query, const mv_segment *segments, size_t n_segments,
                    mv_place *places, float *scores, size_t n, size_t k, double error,
                    size_t *count) {
  ranking r = {query, segments, n_segments, places, scores, NULL, n, {0}, NULL, 0, {0}};
  mv_status status = reserve(&r, k);
  if (status != MV_OK) return status;
  r.n = keep_best(&r, scores, (double)kth_score(&r, scores, n) - error);
  status = score(&r, 0, r.n, MV_SCORE_PRECISE);
  if (status == MV_OK) *count = keep_best(&r, r.fresh, (double)kth_score(&r, r.fresh, r.n));
  return status;
}
