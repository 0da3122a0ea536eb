/* Ranking until the rest cannot matter, and refining, against the scores of all documents. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../ranking/topk.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"

/* N: more documents than parts are kept of. LONG: query tokens for two blocks. */
enum { DIM = 32, N = 700, SHORT = 5, LONG = 37, PATIENT = 1000000 };

static uint64_t seed = 53;

typedef struct world {
  model used;
  float *vectors;
  uint32_t lengths[N];
  collection docs;
  mv_query *query;
  mv_place places[N]; /* best first by estimate */
  float estimates[N];
  float fast[N]; /* by document */
  float precise[N];
} world;

/* m: query tokens. groups: those of a partial table for each of them, of `all`; 0: a full one. */
static void world_build(world *w, size_t m, size_t groups, uint32_t all) {
  size_t n = 0;
  for (size_t i = 0; i < N; i++) n += w->lengths[i] = 1 + (uint32_t)mv_random_below(&seed, 9);
  w->vectors = draw_topics(&seed, n, DIM, 20, 2.0);
  model_train(&w->used, (model_shape){DIM, 4, 8 * all, all}, w->vectors, n);
  collection_build(&w->docs, &w->used, DIM, w->vectors, w->lengths, N, 2);
  MUST(mv_query_new(&w->query) == MV_OK);
  MUST(mv_query_load(w->query, w->vectors, m, DIM) == MV_OK);
  w->query->large = 0;
  w->query->groups_wanted = groups;
  for (uint32_t i = 0; i < N; i++) w->places[i] = (mv_place){0, i};
  MUST(mv_score(w->query, &w->docs.view, 1, w->places, N, MV_SCORE_FAST, w->fast) == MV_OK);
  MUST(mv_score(w->query, &w->docs.view, 1, w->places, N, MV_SCORE_PRECISE, w->precise) == MV_OK);
  MUST(mv_interact(w->query, &w->docs.view, 1, w->places, N, w->estimates) == MV_OK);
  mv_topk_order(w->places, w->estimates, N);
  MUST((w->query->table.kind == MV_TABLE_PARTIAL) == (groups > 0));
}

static void world_free(world *w) {
  mv_query_free(w->query);
  collection_free(&w->docs);
  model_free(&w->used);
  free(w->vectors);
}

/* Documents with a better score, and others with one. */
static size_t better(const float *all, float score, const float *others, size_t n_others) {
  size_t n = 0;
  for (size_t i = 0; i < N; i++) n += all[i] > score;
  for (size_t i = 0; i < n_others; i++) n += others[i] > score;
  return n;
}

/* The documents among the best k that are not among `count` places. */
static size_t missing(const float *all, size_t k, const float *others, size_t n_others,
                      const mv_place *places, size_t count) {
  size_t n = 0;
  for (uint32_t i = 0; i < N; i++) {
    if (better(all, all[i], others, n_others) >= k) continue;
    size_t at = 0;
    while (at < count && places[at].document != i) at++;
    n += at == count;
  }
  return n;
}

/* How many documents may be among the best k by their codes, given the first ones' scores. */
static size_t model_wanted(const float *gains, const float *scores, size_t first, size_t k) {
  double sum = 0, squares = 0, least = 1e9;
  for (size_t i = 0; i < first; i++) sum += (double)scores[i] - (double)gains[i];
  const double mean = sum / (double)first;
  for (size_t i = 0; i < first; i++) squares += pow(scores[i] - gains[i] - mean, 2);
  for (size_t i = 0; i < first; i++) { /* the k-th best score, or the worst */
    size_t above = 0;
    for (size_t j = 0; j < first; j++) above += scores[j] > scores[i];
    if (above < k && (double)scores[i] < least) least = (double)scores[i];
  }
  least -= mean + 4 * sqrt(squares / (double)first);
  size_t wanted = first;
  while (wanted < N && (double)gains[wanted] > least) wanted++;
  return wanted;
}

/* Gains that fall short of the scores by codes, by `noise` more or less: the first documents get
 * their scores, and as many are wanted as the model has. */
static void case_interact(const world *w, size_t k, float noise) {
  mv_place places[N];
  float gains[N], scores[N], by_codes[N];
  size_t wanted = 0;
  const size_t first = mv_first_interacted(N, k);
  for (size_t i = 0; i < N; i++) {
    by_codes[w->places[i].document] = w->estimates[i];
    places[i] = w->places[i];
    const float drawn = (float)mv_random_below(&seed, 1000) / 1000;
    gains[i] = w->estimates[i] - 3 - noise * drawn;
  }
  mv_topk_order(places, gains, N);
  const mv_place last = places[N - 1];
  memcpy(scores, gains, sizeof scores);
  MUST(mv_interact_first(w->query, &w->docs.view, 1, places, scores, N, first, k, 3.0, &wanted) ==
       MV_OK);
  CHECK(first == (k < 128 ? 256 : k < N / 2 ? 2 * k : N), "k %zu: %zu first", k, first);
  for (size_t i = 0; i < N; i++) {
    const float expected = i < first ? by_codes[places[i].document] : gains[i];
    CHECK(scores[i] == expected, "k %zu: document %u", k, places[i].document);
  }
  CHECK(places[N - 1].document == last.document, "k %zu: the places have changed", k);
  CHECK(wanted == model_wanted(gains, scores, first, k), "k %zu, noise %g: %zu wanted", k,
        (double)noise, wanted);
}

/* share: of the best k, one in so many may be missing, as the stop rule goes by deviations. */
static void case_rank(const world *w, size_t k, double deviations, const float *others,
                      size_t n_others, size_t share) {
  mv_place places[N];
  float scores[N];
  size_t wanted, count, ready = 0, calls = 0;
  memcpy(places, w->places, sizeof places);
  memcpy(scores, w->estimates, sizeof scores);
  for (;; ready = wanted, calls++) {
    MUST(mv_rank(w->query, &w->docs.view, 1, places, scores, N, ready, k, deviations, others,
                 n_others, &wanted, &count) == MV_OK);
    CHECK(calls < 3 && wanted <= N, "k %zu: %zu of %zu ready", k, wanted, ready);
    if (wanted <= ready || calls == 3) break;
    CHECK(memcmp(places, w->places, sizeof places) == 0, "k %zu: places changed", k);
    CHECK(memcmp(scores, w->estimates, sizeof scores) == 0, "k %zu: scores changed", k);
  }
  const size_t lost = missing(w->fast, k, others, n_others, places, count);
  CHECK(lost <= k / share, "k %zu: %zu are missing", k, lost);
  for (size_t i = 0; i < count; i++) {
    CHECK(scores[i] == w->fast[places[i].document], "k %zu: document %u", k, places[i].document);
  }
  if (deviations >= PATIENT) CHECK(wanted == N, "k %zu: %zu", k, wanted);
}

/* The number of documents that have to be scored for the best one. */
static size_t wanted_beside(const world *w, const float *others, size_t n_others) {
  mv_place places[N];
  float scores[N];
  size_t wanted, count;
  memcpy(places, w->places, sizeof places);
  memcpy(scores, w->estimates, sizeof scores);
  MUST(mv_rank(w->query, &w->docs.view, 1, places, scores, N, N, 1, 1000.0, others, n_others,
               &wanted, &count) == MV_OK);
  return wanted;
}

/* Beside better others fewer documents have to be scored. */
static void case_others(const world *w) {
  const float best = 1e6f;
  const size_t alone = wanted_beside(w, NULL, 0), beside = wanted_beside(w, &best, 1);
  CHECK(beside < alone, "%zu for %zu", beside, alone);
}

static void case_refine(const world *w, size_t k) {
  mv_place places[N];
  float scores[N];
  size_t count;
  for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
  memcpy(scores, w->fast, sizeof scores);
  MUST(mv_refine(w->query, &w->docs.view, 1, places, scores, N, k, 0.012 * (double)w->query->m,
                 &count) == MV_OK);
  CHECK(missing(w->precise, k, NULL, 0, places, count) == 0, "k %zu: one is missing", k);
  for (size_t i = 0; i < count; i++) {
    CHECK(scores[i] == w->precise[places[i].document], "k %zu: document %u", k, places[i].document);
    CHECK(better(w->precise, scores[i], NULL, 0) < k, "k %zu: one too many", k);
  }
}

static void case_empty(const world *w) {
  size_t wanted = 9, count = 9;
  MUST(mv_rank(w->query, &w->docs.view, 1, NULL, NULL, 0, 0, 10, 3.0, NULL, 0, &wanted, &count) ==
       MV_OK);
  CHECK(wanted == 0 && count == 0, "%zu, %zu", wanted, count);
  MUST(mv_refine(w->query, &w->docs.view, 1, NULL, NULL, 0, 10, 0.1, &count) == MV_OK);
  CHECK(count == 0, "%zu", count);
}

/* Where all documents are scored by all tokens, some of them have been in part before. */
static void test_whole(size_t m, size_t groups) {
  static const size_t sizes[] = {N / 2, N - 1, N, 5 * N};
  world w;
  world_build(&w, m, groups, 80);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    case_rank(&w, sizes[i], 3.0, NULL, 0, SIZE_MAX);
    case_refine(&w, sizes[i]);
  }
  world_free(&w);
}

/* With a codec of few centroids, whose tables are full whatever is asked for, documents are scored
 * once. */
static void test_small_codec(void) {
  world w;
  world_build(&w, SHORT, 0, 30);
  mv_place places[N];
  float scores[N];
  size_t wanted, count, tokens = 0;
  w.query->large = 8 * 30 + 1;
  mv_query_near_groups(w.query, 6);
  const uint64_t before = mv_query_counts(w.query).tokens;
  memcpy(places, w.places, sizeof places);
  memcpy(scores, w.estimates, sizeof scores);
  MUST(mv_rank(w.query, &w.docs.view, 1, places, scores, N, N, 10, 6.0, NULL, 0, &wanted, &count) ==
       MV_OK);
  for (size_t i = 0; i < wanted; i++) tokens += w.lengths[w.places[i].document];
  CHECK(mv_query_counts(w.query).tokens - before == tokens, "%zu tokens", tokens);
  CHECK(count == wanted, "%zu of %zu documents", count, wanted);
  world_free(&w);
}

static void cases(size_t groups) {
  static const size_t sizes[] = {1, 2, 10, 33, 120, N - 1, N, 5 * N};
  world w;
  world_build(&w, SHORT, groups, 30);
  float others[20];
  for (size_t i = 0; i < 20; i++) others[i] = w.fast[7 * i];
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const size_t share = groups > 0 ? 10 : SIZE_MAX;
    case_rank(&w, sizes[i], 6.0, NULL, 0, share);
    case_rank(&w, sizes[i], 6.0, others, 20, share);
    case_rank(&w, sizes[i], PATIENT, NULL, 0, share);
    case_refine(&w, sizes[i]);
  }
  static const float noises[] = {0.0f, 0.5f, 2.0f, 9.0f};
  for (size_t i = 0; i < 4 * sizeof sizes / sizeof sizes[0]; i++) {
    case_interact(&w, sizes[i / 4], noises[i % 4]);
  }
  case_others(&w);
  case_empty(&w);
  world_free(&w);
}

int main(void) {
  cases(0);
  cases(6);
  test_whole(SHORT, 1);
  test_whole(LONG, 1);
  test_whole(LONG, 0);
  test_small_codec();
  return checks_report();
}
