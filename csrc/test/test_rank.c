/* Ranking until the rest cannot matter, and refining, against the scores of all documents. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"

/* N: more documents than parts are kept of. LONG: query tokens for two blocks. N_OLD: the
 * first documents are old, that is all of their codes are among the first two fifths. */
enum { DIM = 32, N = 700, SHORT = 5, LONG = 37, N_OLD = 120, PATIENT = 1000000 };

enum { YOUNG = 1, OLD = 2 };

static uint64_t seed = 56;

typedef struct world {
  model used;
  float *vectors;
  uint32_t lengths[N];
  collection docs;   /* with codes apart */
  collection within; /* the same with codes in the records */
  mv_query *query;
  mv_place places[N]; /* best first by estimate */
  float estimates[N];
  float fast[N]; /* by document */
  float precise[N];
  uint8_t marks[N]; /* two fifths of the centroids are a power of two, or half as many more */
} world;

static int is_low(const world *w, uint32_t document, uint32_t token) {
  return 5 * (collection_code(&w->docs, document, token) + 1) < 2 * w->used.spec.n_centroids;
}

static int age_of(const world *w, uint32_t document) {
  for (uint32_t t = 0; t < w->lengths[document]; t++) {
    if (!is_low(w, document, t)) return YOUNG;
  }
  return OLD;
}

/* Exchanges the vector at `next` with the next one that has a low code. */
static void bring_low(float *vectors, uint8_t *low, size_t next, size_t n) {
  size_t from = next;
  while (from < n && !low[from]) from++;
  MUST(from < n);
  for (size_t d = 0; d < DIM; d++) {
    const float x = vectors[next * DIM + d];
    vectors[next * DIM + d] = vectors[from * DIM + d];
    vectors[from * DIM + d] = x;
  }
  low[from] = low[next];
  low[next] = 1;
}

/* Exchanges vectors so that the first documents are old. */
static void make_old(world *w) {
  const size_t n = w->docs.n_tokens;
  uint8_t *low = room(n, 1);
  for (uint32_t i = 0, at = 0; i < N; i++) {
    for (uint32_t t = 0; t < w->lengths[i]; t++) low[at++] = (uint8_t)is_low(w, i, t);
  }
  for (size_t t = 0; t < w->docs.starts[N_OLD]; t++) bring_low(w->vectors, low, t, n);
  free(low);
  collection_free(&w->docs);
  collection_build(&w->docs, &w->used, DIM, w->vectors, w->lengths, N, 2);
  collection_inline(&w->within, &w->docs);
  for (uint32_t i = 0; i < N_OLD; i++) MUST(age_of(w, i) == OLD);
}

/* Marks all documents as verified. */
static void mark_all(world *w) {
  uint32_t all[N];
  for (uint32_t i = 0; i < N; i++) all[i] = i;
  MUST(mv_documents_check(&w->within.view, all, N, w->marks) == MV_OK);
  w->docs.view.checked = w->within.view.checked = w->marks;
}

/* m: query tokens. groups: those of a partial table for each of them, of `all`; 0: a full one. */
static void world_build(world *w, size_t m, size_t groups, uint32_t all) {
  size_t n = 0;
  for (size_t i = 0; i < N; i++) n += w->lengths[i] = 1 + (uint32_t)mv_random_below(&seed, 9);
  w->vectors = draw_topics(&seed, n, DIM, 20, 2.0);
  model_train(&w->used, (model_shape){DIM, 4, 8 * all, all}, w->vectors, n);
  collection_build(&w->docs, &w->used, DIM, w->vectors, w->lengths, N, 2);
  make_old(w);
  mark_all(w);
  MUST(mv_query_new(&w->query) == MV_OK);
  MUST(mv_query_load(w->query, w->vectors, m, DIM) == MV_OK);
  w->query->large = 0;
  w->query->groups_wanted = groups;
  for (uint32_t i = 0; i < N; i++) w->places[i] = (mv_place){0, i};
  MUST(mv_score(w->query, &w->within.view, 1, w->places, N, MV_SCORE_FAST, w->fast) == MV_OK);
  MUST(mv_score(w->query, &w->within.view, 1, w->places, N, MV_SCORE_PRECISE, w->precise) == MV_OK);
  MUST(mv_interact(w->query, &w->within.view, 1, w->places, N, w->estimates) == MV_OK);
  MUST(mv_query_order(w->query, w->places, w->estimates, N) == MV_OK);
  MUST((w->query->table->kind == MV_TABLE_PARTIAL) == (groups > 0));
}

static void world_free(world *w) {
  mv_query_free(w->query);
  collection_free(&w->docs);
  collection_free(&w->within);
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

/* The mean and some deviations of the first scores less estimates, of documents of some ages. */
static double model_reach(const world *w, const mv_place *places, const float *estimates,
                          const float *scores, size_t first, int ages, double deviations) {
  double n = 0, sum = 0, squares = 0;
  for (size_t i = 0; i < first; i++) {
    if (!(ages & age_of(w, places[i].document))) continue;
    n++;
    sum += (double)scores[i] - (double)estimates[i];
  }
  for (size_t i = 0; i < first; i++) {
    if (!(ages & age_of(w, places[i].document))) continue;
    squares += pow((double)scores[i] - (double)estimates[i] - sum / n, 2);
  }
  return sum / n + deviations * sqrt(squares / n);
}

/* The k-th best of the first scores, or the worst. */
static double model_kth(const float *scores, size_t first, size_t k) {
  double least = 1e9;
  for (size_t i = 0; i < first; i++) {
    size_t above = 0;
    for (size_t j = 0; j < first; j++) above += scores[j] > scores[i];
    if (above < k && (double)scores[i] < least) least = (double)scores[i];
  }
  return least;
}

/* Gains that fall short of the scores by codes, by `noise` more or less: the first documents get
 * their scores, and as many are wanted as the model has. */
static void case_interact(const world *w, size_t k, float noise) {
  mv_place given[N], places[N];
  float gains[N], scores[N], by_codes[N];
  size_t wanted = 0;
  const size_t first = mv_first_interacted(N, k);
  for (size_t i = 0; i < N; i++) {
    by_codes[w->places[i].document] = w->estimates[i];
    given[i] = w->places[i];
    const float drawn = (float)mv_random_below(&seed, 1000) / 1000;
    gains[i] = w->estimates[i] - 3 - noise * drawn;
  }
  MUST(mv_query_order(w->query, given, gains, N) == MV_OK);
  shuffle(&seed, given + first, gains + first, N - first);
  memcpy(places, given, sizeof places);
  memcpy(scores, gains, sizeof scores);
  MUST(mv_interact_first(w->query, &w->within.view, 1, places, scores, N, first, k, 3.0, &wanted) ==
       MV_OK);
  CHECK(first == (k < 128 ? 256 : k < N / 2 ? 2 * k : N), "k %zu: %zu first", k, first);
  for (size_t i = 0; i < first; i++) {
    CHECK(places[i].document == given[i].document, "k %zu: place %zu", k, i);
    CHECK(scores[i] == by_codes[given[i].document], "k %zu: document %u", k, given[i].document);
  }
  const double least =
      model_kth(scores, first, k) - model_reach(w, given, gains, scores, first, YOUNG | OLD, 4.0);
  size_t expected = first;
  for (size_t i = first; i < N; i++) {
    if ((double)gains[i] <= least) continue;
    CHECK(expected < wanted && places[expected].document == given[i].document, "k %zu: %zu", k, i);
    CHECK(scores[expected++] == gains[i], "k %zu: document %u", k, given[i].document);
  }
  CHECK(wanted == expected, "k %zu, noise %g: %zu wanted", k, (double)noise, wanted);
}

static size_t count_old(const world *w, const mv_place *places, size_t n) {
  size_t old = 0;
  for (size_t i = 0; i < n; i++) old += age_of(w, places[i].document) == OLD;
  return old;
}

typedef struct ranked {
  mv_place places[N];
  float scores[N];
} ranked;

/* The samples are the first documents and the next 16 old ones, of 512; the order is kept
 * otherwise. */
static void check_samples(const world *w, const ranked *before, const ranked *after, size_t samples,
                          size_t k) {
  const size_t first = k < 32 ? 64 : k < N / 2 ? 2 * k : N;
  size_t old = first, young = samples;
  for (size_t i = 0; i < N; i++) {
    const uint32_t document = before->places[i].document;
    const int moves = i >= first && i < 512 && old < samples && age_of(w, document) == OLD;
    const size_t at = i < first ? i : moves ? old++ : young++;
    CHECK(after->places[at].document == document, "k %zu: document %u", k, document);
    CHECK(after->scores[at] == before->scores[i], "k %zu: document %u", k, document);
  }
  const size_t sought = samples < 512 ? 512 - samples : 0;
  CHECK(samples == first + 16 || count_old(w, after->places + samples, sought) == 0,
        "k %zu: %zu samples", k, samples);
}

/* Of documents behind the first, those that the model wants are there, in their order. */
static void check_wanted(const world *w, const ranked *before, const ranked *after, size_t first,
                         size_t wanted, size_t k) {
  const size_t old = count_old(w, before->places, first);
  const int apart = old >= 8 && first - old >= 8;
  const double kth = model_kth(after->scores, first, k);
  size_t expected = first;
  for (size_t i = first; i < N; i++) {
    const int age = apart ? age_of(w, before->places[i].document) : YOUNG | OLD;
    const double risen = (double)before->scores[i] + model_reach(w, before->places, before->scores,
                                                                 after->scores, first, age, 3.0);
    if (risen < kth) continue;
    CHECK(after->places[expected].document == before->places[i].document, "k %zu: document %u", k,
          before->places[i].document);
    expected++;
  }
  CHECK(wanted == expected, "k %zu: %zu wanted for %zu", k, wanted, expected);
}

/* Estimates that fall short of the scores, those of old documents by more. Of full tables, whose
 * scores in part are those of all tokens. */
static void case_ages(const world *w, size_t k, float noise) {
  ranked given, now;
  size_t wanted, count;
  for (uint32_t i = 0; i < N; i++) {
    const float drawn = (float)mv_random_below(&seed, 1000) / 1000;
    given.places[i] = (mv_place){0, i};
    given.scores[i] = w->fast[i] - (age_of(w, i) == OLD ? 1 + noise * drawn : drawn / 8);
  }
  MUST(mv_query_order(w->query, given.places, given.scores, N) == MV_OK);
  now = given;
  const size_t first = mv_rank_samples(&w->within.view, now.places, now.scores, N, k);
  check_samples(w, &given, &now, first, k);
  given = now;
  MUST(mv_rank_first(w->query, &w->within.view, 1, now.places, now.scores, N, first, k, 3.0, NULL,
                     0, &wanted) == MV_OK);
  check_wanted(w, &given, &now, first, wanted, k);
  MUST(mv_rank_rest(w->query, &w->within.view, 1, now.places, now.scores, wanted, first, k, NULL, 0,
                    &count) == MV_OK);
  CHECK(count == wanted, "k %zu: %zu of %zu", k, count, wanted);
  for (size_t i = 0; i < count; i++) {
    CHECK(now.scores[i] == w->fast[now.places[i].document], "k %zu: document %u", k,
          now.places[i].document);
  }
}

/* Ranks all documents by their codes, then by scores; the number of those scored. */
static size_t rank(const world *w, ranked *r, size_t k, double deviations, const float *others,
                   size_t n_others, size_t *count) {
  size_t wanted;
  memcpy(r->places, w->places, sizeof r->places);
  memcpy(r->scores, w->estimates, sizeof r->scores);
  const size_t first = mv_rank_samples(&w->within.view, r->places, r->scores, N, k);
  MUST(mv_rank_first(w->query, &w->within.view, 1, r->places, r->scores, N, first, k, deviations,
                     others, n_others, &wanted) == MV_OK);
  MUST(mv_rank_rest(w->query, &w->within.view, 1, r->places, r->scores, wanted, first, k, others,
                    n_others, count) == MV_OK);
  return wanted;
}

/* share: of the best k, one in so many may be missing, as the stop rule goes by deviations. */
static void case_rank(const world *w, size_t k, double deviations, const float *others,
                      size_t n_others, size_t share) {
  ranked r;
  size_t count;
  const size_t wanted = rank(w, &r, k, deviations, others, n_others, &count);
  CHECK(count <= wanted && wanted <= N, "k %zu: %zu of %zu", k, count, wanted);
  const size_t lost = missing(w->fast, k, others, n_others, r.places, count);
  CHECK(lost <= k / share, "k %zu: %zu are missing", k, lost);
  for (size_t i = 0; i < count; i++) {
    CHECK(r.scores[i] == w->fast[r.places[i].document], "k %zu: document %u", k,
          r.places[i].document);
  }
  if (deviations >= PATIENT) CHECK(wanted == N, "k %zu: %zu", k, wanted);
}

/* Beside better others fewer documents have to be scored. */
static void case_others(const world *w) {
  const float best = 1e6f;
  ranked r;
  size_t count;
  const size_t alone = rank(w, &r, 1, 1000.0, NULL, 0, &count);
  const size_t beside = rank(w, &r, 1, 1000.0, &best, 1, &count);
  CHECK(beside < alone, "%zu for %zu", beside, alone);
}

static void case_refine(const world *w, size_t k) {
  mv_place places[N];
  float scores[N];
  size_t count;
  for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
  memcpy(scores, w->fast, sizeof scores);
  MUST(mv_refine(w->query, &w->within.view, 1, places, scores, N, k, 0.012 * (double)w->query->m,
                 &count) == MV_OK);
  CHECK(missing(w->precise, k, NULL, 0, places, count) == 0, "k %zu: one is missing", k);
  for (size_t i = 0; i < count; i++) {
    CHECK(scores[i] == w->precise[places[i].document], "k %zu: document %u", k, places[i].document);
    CHECK(better(w->precise, scores[i], NULL, 0) < k, "k %zu: one too many", k);
  }
}

static void case_empty(const world *w) {
  size_t count = 9;
  MUST(mv_refine(w->query, &w->within.view, 1, NULL, NULL, 0, 10, 0.1, &count) == MV_OK);
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
  ranked r;
  size_t count, tokens = 0;
  w.query->large = 8 * 30 + 1;
  mv_query_near_groups(w.query, 6);
  const uint64_t before = mv_query_counts(w.query).tokens;
  const size_t wanted = rank(&w, &r, 10, 6.0, NULL, 0, &count);
  for (size_t i = 0; i < wanted; i++) tokens += w.lengths[r.places[i].document];
  CHECK(mv_query_counts(w.query).tokens - before == tokens, "%zu tokens", tokens);
  CHECK(count == wanted, "%zu of %zu documents", count, wanted);
  world_free(&w);
}

/* Where the first documents are all old, their gaps tell of the others too. Documents of a segment
 * that has its codes apart pass for young. */
static void test_old_first(void) {
  world w;
  world_build(&w, SHORT, 0, 30);
  case_ages(&w, 10, -40.0f);
  CHECK(mv_rank_samples(&w.docs.view, w.places, w.estimates, N, 10) == 64, "codes apart");
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
    if (groups == 0) case_ages(&w, sizes[i / 4], noises[i % 4]);
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
  test_old_first();
  return checks_report();
}
