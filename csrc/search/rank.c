/* Ranking by codes, then by stored vectors. Documents are given best first by an estimate, and
 * scored until the rest cannot be among the best k:
 *
 *   1. score the first ones: their gaps between score and estimate say how far a document may rise
 *   2. score the others that may so rise to the k-th best score
 *   3. where the scores are of near tokens alone, the same again with them as estimates, by the
 *      other tokens too
 *
 * The best of them are then refined with the query in int16.
 *
 * A codebook grows, and documents keep their codes. Those encoded when it was small are further
 * from their centroids than those encoded since: gaps of estimates by their codes are greater and
 * vary more. So these gaps are counted by age. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "scores.h"
#include "stages.h"

enum {
  FIRST_INTERACTED = 256, /* documents that are ranked by their codes in any case, or 2 k, or */
  INTERACTED_PART = 6,    /* one of so many */
  FIRST_CANDIDATES = 64,  /* documents that are scored in any case, or 2 k, and */
  FIRST_OLD = 16,         /* the next old ones, */
  OLD_AMONG = 512,        /* of so many in all */
  FIRST_WHOLE = 24,       /* of those scored in part, those scored by all tokens, or 2 k */
  MOST_PARTS = 512,       /* documents whose parts are kept until they are scored by all tokens */
  LEAST_GAPS = 8          /* gaps of an age that tell of others */
};

/* The same as `deviations` for scores in part. The best ones have the least gaps, which make too
 * little of the others'. */
#define WHOLE_DEVIATIONS 9.0

/* Deviations for gains of lists, in those for scores: gains of documents far behind fall short of
 * their scores by more. */
#define OF_GAINS (4.0 / 3.0)

/* The codes of an old document are among this part of the centroids, the first ones, less up to a
 * third of it, as marks have steps. */
#define OLD_PART 0.4

enum { YOUNG, OLD, AGES };

/* Scores less estimates. */
typedef struct gaps {
  double n, sum, squares;
} gaps;

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
  mv_parts parts; /* of the first documents; none where tables are full */
} ranking;

static ranking ranking_of(mv_query *query, const mv_segment *segments, size_t n_segments,
                          mv_place *places, float *scores, size_t n) {
  return (ranking){.query = query,
                   .segments = segments,
                   .n_segments = n_segments,
                   .places = places,
                   .scores = scores,
                   .n = n};
}

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

/* ---- how far a document may rise ---- */

static double gap_of(const ranking *r, size_t i) {
  return (double)r->fresh[i] - (double)r->scores[i];
}

static void count_gap(gaps *all, double gap) {
  all->n += 1.0;
  all->sum += gap;
  all->squares += gap * gap;
}

/* The greatest gap to expect, by those counted. */
static double reach(const gaps *of, double deviations) {
  const double mean = of->sum / of->n, variance = of->squares / of->n - mean * mean;
  return mean + deviations * sqrt(variance > 0.0 ? variance : 0.0);
}

/* The k-th best of n scores and of the others, whatever their places. */
static float kth_score(ranking *r, const float *scores, size_t n) {
  const mv_place nowhere = {0, 0};
  r->best.count = 0;
  for (size_t i = 0; i < n; i++) mv_topk_offer(&r->best, nowhere, scores[i]);
  for (size_t i = 0; i < r->n_others; i++) mv_topk_offer(&r->best, nowhere, r->others[i]);
  return r->best.count > 0 ? r->best.scores[0] : -FLT_MAX;
}

/* The least estimate of documents that may be among the best k, by the scores of the first. */
static double least_estimate(ranking *r, size_t first, double deviations) {
  gaps all = {0};
  for (size_t i = 0; i < first; i++) count_gap(&all, gap_of(r, i));
  return (double)kth_score(r, r->fresh, first) - reach(&all, deviations);
}

/* Keeps the first documents, and of the others those whose score in `from` is at least `least`,
 * with it; the number of both. */
static size_t keep(ranking *r, size_t first, const float *from, double least) {
  size_t kept = first;
  for (size_t i = first; i < r->n; i++) {
    if ((double)from[i] < least) continue;
    r->places[kept] = r->places[i];
    r->scores[kept++] = from[i];
  }
  return kept;
}

/* How many of n documents a stage scores in any case: at least `least`, and 2 k. */
static size_t first_of(size_t n, size_t least, size_t k) {
  const size_t first = 2 * k > least ? 2 * k : least;
  return first < n ? first : n;
}

/* ---- by codes ---- */

size_t mv_first_interacted(size_t n, size_t k) {
  const size_t part = n / INTERACTED_PART;
  return first_of(n, part > FIRST_INTERACTED ? part : FIRST_INTERACTED, k);
}

mv_status mv_interact_first(mv_query *query, const mv_segment *segments, size_t n_segments,
                            mv_place *places, float *scores, size_t n, size_t first, size_t k,
                            double deviations, size_t *wanted) {
  ranking r = ranking_of(query, segments, n_segments, places, scores, n);
  mv_status status = reserve(&r, k);
  if (status == MV_OK) status = mv_interact(query, segments, n_segments, places, first, r.fresh);
  if (status != MV_OK) return status;
  *wanted = keep(&r, first, scores, least_estimate(&r, first, OF_GAINS * deviations));
  memcpy(scores, r.fresh, first * sizeof(float));
  return MV_OK;
}

/* ---- by scores ---- */

/* Segments that have their codes apart are small, and pass for young: the marks of their documents
 * may be missing. */
static int age_of(const mv_segment *segments, mv_place place) {
  const mv_segment *segment = &segments[place.segment];
  const double n_old = OLD_PART * (double)segment->codec->centroids.n;
  const uint8_t old = mv_mark_of((uint32_t)n_old);
  return segment->inline_codes && segment->checked[place.document] < old ? OLD : YOUNG;
}

/* Moves the document at `from` to `to`, and those from there on by one place. */
static void move_up(mv_place *places, float *scores, size_t from, size_t to) {
  const mv_place place = places[from];
  const float score = scores[from];
  memmove(places + to + 1, places + to, (from - to) * sizeof(mv_place));
  memmove(scores + to + 1, scores + to, (from - to) * sizeof(float));
  places[to] = place;
  scores[to] = score;
}

size_t mv_rank_samples(const mv_segment *segments, mv_place *places, float *scores, size_t n,
                       size_t k) {
  const size_t first = first_of(n, FIRST_CANDIDATES, k);
  size_t samples = first;
  for (size_t i = first; i < n && i < OLD_AMONG && samples < first + FIRST_OLD; i++) {
    if (age_of(segments, places[i]) == OLD) move_up(places, scores, i, samples++);
  }
  return samples;
}

/* The least estimate of documents of each age that may be among the best k, by the scores of the
 * first. */
static void least_estimates(ranking *r, size_t first, double deviations, double least[AGES]) {
  const double kth = (double)kth_score(r, r->fresh, first);
  gaps of[AGES] = {0}, all = {0};
  for (size_t i = 0; i < first; i++) {
    count_gap(&all, gap_of(r, i));
    count_gap(&of[age_of(r->segments, r->places[i])], gap_of(r, i));
  }
  const int tell = of[YOUNG].n >= LEAST_GAPS && of[OLD].n >= LEAST_GAPS;
  for (int age = YOUNG; age < AGES; age++) {
    least[age] = kth - reach(tell ? &of[age] : &all, deviations);
  }
}

/* Brings the documents that may be among the best k behind the first; the number of both. */
static size_t bring_wanted(ranking *r, size_t first, const double least[AGES]) {
  const double lowest = least[least[OLD] < least[YOUNG] ? OLD : YOUNG];
  size_t wanted = first;
  for (size_t i = first; i < r->n && (double)r->scores[i] >= lowest; i++) {
    if ((double)r->scores[i] < least[age_of(r->segments, r->places[i])]) continue;
    r->places[wanted] = r->places[i];
    r->scores[wanted++] = r->scores[i];
  }
  return wanted;
}

static int scores_parts(const ranking *r) {
  for (size_t s = 0; s < r->n_segments; s++) {
    const mv_codec *codec = r->segments[s].codec;
    if (codec != NULL && mv_has_partial_tables(r->query, codec)) return 1;
  }
  return 0;
}

/* Room for the parts of the first documents; those that are there stay. */
static mv_status reserve_parts(ranking *r) {
  if (!scores_parts(r)) return MV_OK;
  const size_t bytes = sizeof(mv_place) + r->query->m * sizeof(float);
  mv_place *places = mv_query_reserve(r->query, MV_MEMORY_PARTS, MOST_PARTS, bytes);
  if (places == NULL) return MV_ERROR_MEMORY;
  r->parts = (mv_parts){places, (float *)(places + MOST_PARTS), MOST_PARTS};
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

mv_status mv_rank_first(mv_query *query, const mv_segment *segments, size_t n_segments,
                        mv_place *places, float *scores, size_t n, size_t first, size_t k,
                        double deviations, const float *others, size_t n_others, size_t *wanted) {
  ranking r = ranking_of(query, segments, n_segments, places, scores, n);
  r.others = others;
  r.n_others = n_others;
  mv_status status = reserve(&r, k);
  if (status == MV_OK) status = reserve_parts(&r);
  if (status == MV_OK) status = score(&r, 0, first, MV_SCORE_PART);
  if (status != MV_OK) return status;
  double least[AGES];
  least_estimates(&r, first, deviations, least);
  *wanted = bring_wanted(&r, first, least);
  memcpy(scores, r.fresh, first * sizeof(float));
  return MV_OK;
}

/* Scores by all tokens, in the order of the scores in part. */
static mv_status score_whole(ranking *r, size_t *count) {
  if (r->n < r->parts.n) r->parts.n = r->n;
  memcpy(r->parts.places, r->places, r->parts.n * sizeof(mv_place));
  mv_status status = mv_query_order(r->query, r->places, r->scores, r->n);
  const size_t first = first_of(r->n, FIRST_WHOLE, r->best.limit);
  if (status == MV_OK) status = score(r, 0, first, MV_SCORE_FAST);
  if (status != MV_OK) return status;
  *count = keep(r, first, r->scores, least_estimate(r, first, WHOLE_DEVIATIONS));
  status = score(r, first, *count, MV_SCORE_FAST);
  memcpy(r->scores, r->fresh, *count * sizeof(float));
  return status;
}

mv_status mv_rank_rest(mv_query *query, const mv_segment *segments, size_t n_segments,
                       mv_place *places, float *scores, size_t n, size_t first, size_t k,
                       const float *others, size_t n_others, size_t *count) {
  ranking r = ranking_of(query, segments, n_segments, places, scores, n);
  r.others = others;
  r.n_others = n_others;
  mv_status status = reserve(&r, k);
  if (status == MV_OK) status = reserve_parts(&r);
  if (status == MV_OK) status = score(&r, first, n, MV_SCORE_PART);
  if (status != MV_OK) return status;
  memcpy(scores + first, r.fresh + first, (n - first) * sizeof(float));
  *count = n;
  return r.parts.n > 0 ? score_whole(&r, count) : MV_OK;
}

/* ---- refining ---- */

/* Keeps the best k, and all with the score of the k-th, with their scores in `from`; their
 * number. */
static size_t cut(ranking *r, const float *from) {
  return keep(r, 0, from, (double)kth_score(r, from, r->n));
}

mv_status mv_cut(mv_query *query, mv_place *places, float *scores, size_t n, size_t k,
                 size_t *count) {
  ranking r = ranking_of(query, NULL, 0, places, scores, n);
  const mv_status status = reserve(&r, k);
  if (status == MV_OK) *count = cut(&r, scores);
  return status;
}

mv_status mv_refine(mv_query *query, const mv_segment *segments, size_t n_segments,
                    mv_place *places, float *scores, size_t n, size_t k, double error,
                    size_t *count) {
  ranking r = ranking_of(query, segments, n_segments, places, scores, n);
  mv_status status = reserve(&r, k);
  if (status != MV_OK) return status;
  r.n = keep(&r, 0, scores, (double)kth_score(&r, scores, n) - error);
  status = score(&r, 0, r.n, MV_SCORE_PRECISE);
  if (status == MV_OK) *count = cut(&r, r.fresh);
  return status;
}
