/* The fine scores and the matrix of token scores, against MaxSim in double over what mv_decode
 * returns. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "check.h"
#include "collection.h"
#include "isa_names.h"

static uint64_t seed = 41;

/* The most that a query token's score may be off, five standard deviations of the rounding: of
 * eight bits of the query (fast); of sixteen bits, or of float sums (precise, and float16). */
static const double fast_error = 0.012, precise_error = 4e-5;

static mv_query *load(const float *vectors, size_t m, size_t dim) {
  mv_query *query;
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vectors, m, dim) == MV_OK);
  return query;
}

/* ---- one segment ---- */

static void check_scores(mv_query *query, const collection *docs, const float *vectors, size_t m,
                         const char *what) {
  const uint32_t n = docs->view.n_documents;
  mv_place *places = room(n, sizeof *places);
  float *fast = room(n, sizeof *fast), *precise = room(n, sizeof *precise);
  for (uint32_t i = 0; i < n; i++) places[i] = (mv_place){0, n - 1 - i};
  CHECK(mv_score(query, &docs->view, 1, places, n, MV_SCORE_FAST, fast) == MV_OK, "fast");
  CHECK(mv_score(query, &docs->view, 1, places, n, MV_SCORE_PRECISE, precise) == MV_OK, "precise");
  const double fast_bound = docs->view.codec != NULL ? fast_error : precise_error;
  for (uint32_t i = 0; i < n; i++) {
    const double score = naive_score(docs, places[i].document, vectors, m), tokens = (double)m;
    const double wrong = fabs((double)fast[i] - score), off = fabs((double)precise[i] - score);
    CHECK(wrong < fast_bound * tokens, "%s, document %u: fast is off by %g", what, n - 1 - i,
          wrong / tokens);
    CHECK(off < precise_error * tokens, "%s, document %u: precise is off by %g", what, n - 1 - i,
          off / tokens);
  }
  free(places);
  free(fast);
  free(precise);
}

static void check_matrix(mv_query *query, const collection *docs, uint32_t document,
                         const float *vectors, size_t m, const char *what) {
  const size_t dim = docs->view.dim, first = docs->starts[document];
  const size_t n = docs->starts[document + 1] - first;
  float *matrix = room(m * n, sizeof *matrix), score;
  CHECK(mv_explain(query, &docs->view, document, n, matrix) == MV_OK, "%s", what);
  double sum = 0;
  for (size_t i = 0; i < m; i++) {
    double best = -HUGE_VAL;
    for (size_t t = 0; t < n; t++) {
      const double value = (double)matrix[i * n + t];
      const double dot = naive_dot(vectors + i * dim, docs->decoded + (first + t) * dim, dim);
      CHECK(fabs(value - dot) < precise_error, "%s: token %zu, %zu: %g for %g", what, i, t, value,
            dot);
      best = value > best ? value : best;
    }
    sum += best;
  }
  const mv_place place = {0, document};
  MUST(mv_score(query, &docs->view, 1, &place, 1, MV_SCORE_PRECISE, &score) == MV_OK);
  CHECK(fabs((double)score - sum) < 1e-6 * (double)m, "%s: scored %g, explained %g", what,
        (double)score, sum);
  free(matrix);
}

/* bits 16: float16. */
static void case_score(uint32_t dim, uint32_t bits, size_t m) {
  enum { N = 8 };
  static const uint32_t lengths[N] = {1, 2, 63, 64, 65, 1, 130, 10};
  size_t n = 0;
  for (size_t i = 0; i < N; i++) n += lengths[i];
  model used;
  collection docs;
  char what[64];
  snprintf(what, sizeof what, "dim %u, %u bits, %zu tokens", dim, bits, m);
  float *vectors = draw_topics(&seed, n, dim, 10, 0.7);
  float *queries = draw_topics(&seed, m, dim, 10, 0.7);
  if (bits != 16) model_train(&used, (model_shape){dim, bits, 12, 3}, vectors, n);
  collection_build(&docs, bits != 16 ? &used : NULL, dim, vectors, lengths, N, 3);
  mv_query *query = load(queries, m, dim);
  check_scores(query, &docs, queries, m, what);
  check_matrix(query, &docs, 0, queries, m, what);
  check_matrix(query, &docs, 4, queries, m, what);
  mv_query_free(query);
  collection_free(&docs);
  if (bits != 16) model_free(&used);
  free(vectors);
  free(queries);
}

static void test_shapes(void) {
  static const uint32_t dims[] = {1, 3, 16, 48, 100, 128}, bits[] = {1, 2, 4, 8, 16};
  static const size_t tokens[] = {1, 16, 17, 32, 33, 100};
  for (size_t b = 0; b < 5; b++) {
    for (size_t i = 0; i < 6; i++) case_score(dims[i], bits[b], 20);
    for (size_t i = 0; i < 6; i++) case_score(32, bits[b], tokens[i]);
    case_score(16, bits[b], 4096);
    case_score(4096, bits[b], 3);
  }
}

/* ---- a long document ---- */

static void case_long(uint32_t bits) {
  enum { N = 100000, DIM = 16, M = 17 };
  static const uint32_t lengths[] = {3, N - 3};
  model used;
  collection docs;
  float *vectors = draw_topics(&seed, N, DIM, 40, 0.5);
  float *queries = draw_topics(&seed, M, DIM, 40, 0.5);
  if (bits != 16) model_train(&used, (model_shape){DIM, bits, 30, 5}, vectors, 3000);
  collection_build(&docs, bits != 16 ? &used : NULL, DIM, vectors, lengths, 2, 1);
  mv_query *query = load(queries, M, DIM);
  check_scores(query, &docs, queries, M, "a long document");
  mv_query_free(query);
  collection_free(&docs);
  if (bits != 16) model_free(&used);
  free(vectors);
  free(queries);
}

/* ---- tokens that are almost alike ---- */

/* Among tokens that a query in int8 cannot tell apart, the precise score is that of the best. */
static void case_crowd(uint32_t bits, size_t m) {
  enum { N = 700, DIM = 64 };
  static const uint32_t lengths[] = {N};
  model used;
  collection docs;
  float *topics = draw_topics(&seed, 4, DIM, 4, 0.5), *vectors = room(N * DIM, sizeof *vectors);
  for (size_t i = 0; i < N; i++) {
    float *row = vectors + i * DIM, square = 0;
    for (size_t d = 0; d < DIM; d++) {
      row[d] =
          topics[i % 4 * DIM + d] + 0.03f * ((float)mv_random_below(&seed, 2001) / 2000 - 0.5f);
      square += row[d] * row[d];
    }
    for (size_t d = 0; d < DIM; d++) row[d] /= sqrtf(square);
  }
  float *queries = draw_topics(&seed, m, DIM, 4, 0.5);
  model_train(&used, (model_shape){DIM, bits, 12, 3}, vectors, N);
  collection_build(&docs, &used, DIM, vectors, lengths, 1, 1);
  mv_query *query = load(queries, m, DIM);
  check_matrix(query, &docs, 0, queries, m, "a crowd");
  mv_query_free(query);
  collection_free(&docs);
  model_free(&used);
  free(topics);
  free(vectors);
  free(queries);
}

static void test_crowd(void) {
  for (uint32_t bits = 1; bits <= 8; bits *= 2) {
    case_crowd(bits, 5);
    case_crowd(bits, 30);
    case_crowd(bits, 70);
  }
}

/* ---- segments of several codecs ---- */

enum { N_SEGMENTS = 4, MIXED_DIM = 24, MIXED_TOKENS = 300, MIXED_DOCUMENTS = 30, MIXED_M = 40 };

typedef struct mixed {
  model models[2];
  collection parts[N_SEGMENTS]; /* codecs 0, none, 1, 0 */
  mv_segment views[N_SEGMENTS];
  float *vectors, *queries;
  mv_place places[N_SEGMENTS * MIXED_DOCUMENTS];
} mixed;

static void mixed_build(mixed *m) {
  uint32_t lengths[MIXED_DOCUMENTS];
  for (uint32_t i = 0; i < MIXED_DOCUMENTS; i++) lengths[i] = 1 + i % 19;
  m->vectors = draw_topics(&seed, MIXED_TOKENS, MIXED_DIM, 10, 0.5);
  m->queries = draw_topics(&seed, MIXED_M, MIXED_DIM, 10, 0.5);
  model_train(&m->models[0], (model_shape){MIXED_DIM, 2, 40, 6}, m->vectors, MIXED_TOKENS);
  model_train(&m->models[1], (model_shape){MIXED_DIM, 8, 70000, 6}, m->vectors, MIXED_TOKENS);
  const model *of[N_SEGMENTS] = {&m->models[0], NULL, &m->models[1], &m->models[0]};
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    collection_build(&m->parts[s], of[s], MIXED_DIM, m->vectors + s * MIXED_DIM, lengths,
                     MIXED_DOCUMENTS, 1 + (uint32_t)s * 5);
    m->views[s] = m->parts[s].view;
  }
  for (uint32_t i = 0; i < N_SEGMENTS * MIXED_DOCUMENTS; i++) {
    m->places[i] = (mv_place){i % N_SEGMENTS, i / N_SEGMENTS};
  }
}

static void mixed_free(mixed *m) {
  for (size_t s = 0; s < N_SEGMENTS; s++) collection_free(&m->parts[s]);
  model_free(&m->models[0]);
  model_free(&m->models[1]);
  free(m->vectors);
  free(m->queries);
}

static void check_mixed(const mixed *m, mv_query *query, int mode, double error) {
  enum { N = N_SEGMENTS * MIXED_DOCUMENTS };
  float scores[N], again[N];
  CHECK(mv_score(query, m->views, N_SEGMENTS, m->places, N, mode, scores) == MV_OK, "mixed");
  for (size_t i = 0; i < N; i++) {
    const mv_place place = m->places[i];
    const double score = naive_score(&m->parts[place.segment], place.document, m->queries, MIXED_M);
    CHECK(fabs((double)scores[i] - score) < error * MIXED_M, "place %u %u", place.segment,
          place.document);
  }
  /* Every instruction set gives the same bits. */
  const char *before = mv_isa();
  for (size_t i = 0; i < N_ISAS; i++) {
    if (!mv_isa_select(isa_names[i])) continue;
    MUST(mv_query_load(query, m->queries, MIXED_M, MIXED_DIM) == MV_OK);
    CHECK(mv_score(query, m->views, N_SEGMENTS, m->places, N, mode, again) == MV_OK, "mixed");
    CHECK(memcmp(scores, again, sizeof scores) == 0, "%s gives other bits", isa_names[i]);
  }
  MUST(mv_isa_select(before));
}

/* What is no place, and segments of other dimensions, is refused. */
static void check_refused(const mixed *m, mv_query *query) {
  float scores[1], *matrix = room(MIXED_M * 20, sizeof(float));
  static const mv_place wrong[] = {{N_SEGMENTS, 0}, {0, MIXED_DOCUMENTS}, {1, UINT32_MAX}};
  for (size_t i = 0; i < 3; i++) {
    CHECK(mv_score(query, m->views, N_SEGMENTS, &wrong[i], 1, 0, scores) == MV_ERROR_ARGUMENT,
          "place %zu", i);
  }
  CHECK(mv_explain(query, m->views, MIXED_DOCUMENTS, 1, matrix) == MV_ERROR_ARGUMENT, "document");
  CHECK(mv_explain(query, m->views, 0, m->views->starts[1] + 1, matrix) == MV_ERROR_ARGUMENT,
        "a matrix for another number of tokens");
  CHECK(mv_score(query, m->views, N_SEGMENTS, m->places, 0, 0, scores) == MV_OK, "no places");
  float *short_vectors = draw_rows(&seed, 2, 16);
  MUST(mv_query_load(query, short_vectors, 2, 16) == MV_OK);
  CHECK(mv_score(query, m->views, N_SEGMENTS, m->places, 1, 0, scores) == MV_ERROR_ARGUMENT, "16");
  CHECK(mv_explain(query, m->views, 0, m->views->starts[1], matrix) == MV_ERROR_ARGUMENT,
        "16 dimensions");
  CHECK(mv_query_load(query, short_vectors, 0, 16) == MV_ERROR_ARGUMENT, "no tokens");
  CHECK(mv_query_load(query, short_vectors, 1, 0) == MV_ERROR_ARGUMENT, "no dimensions");
  CHECK(mv_query_load(query, short_vectors, 1, MV_MAX_DIM + 1) == MV_ERROR_ARGUMENT, "too many");
  free(short_vectors);
  free(matrix);
}

static void test_mixed(void) {
  mixed m;
  mixed_build(&m);
  mv_query *query = load(m.queries, MIXED_M, MIXED_DIM);
  check_mixed(&m, query, MV_SCORE_FAST, fast_error);
  check_mixed(&m, query, MV_SCORE_PRECISE, precise_error);
  check_refused(&m, query);
  mv_query_free(query);
  mixed_free(&m);
}

/* ---- queries ---- */

/* A query's scratch memory serves the next one, longer or shorter, and leaves no trace. */
static void test_reuse(void) {
  static const size_t tokens[] = {40, 3, 100, 17, 1};
  static const uint32_t lengths[] = {5, 90};
  enum { DIM = 40, N = 95 };
  model used;
  collection docs;
  float *vectors = draw_topics(&seed, N, DIM, 10, 0.5);
  model_train(&used, (model_shape){DIM, 4, 20, 4}, vectors, N);
  collection_build(&docs, &used, DIM, vectors, lengths, 2, 1);
  mv_query *query = load(vectors, 1, DIM);
  for (size_t i = 0; i < 5; i++) {
    float *queries = draw_rows(&seed, tokens[i], DIM);
    MUST(mv_query_load(query, queries, tokens[i], DIM) == MV_OK);
    check_scores(query, &docs, queries, tokens[i], "a query's memory used again");
    free(queries);
  }
  mv_query_free(query);
  mv_query_free(NULL);
  mv_codec_free(NULL);
  collection_free(&docs);
  model_free(&used);
  free(vectors);
}

/* Codecs of different seeds are scored together: each rotates the query with its own. Once all were
 * taken to have one seed, and documents of the others got scores of nothing. */
static void test_seeds(void) {
  enum { DIM = 40, N = 60, M = 37, DOCUMENTS = 3 };
  static const uint32_t lengths[DOCUMENTS] = {5, 40, 15};
  static const uint64_t seeds[2] = {ROTATION_SEED, 12345};
  model used[2];
  collection docs[2];
  mv_segment views[3];
  float *vectors = draw_topics(&seed, N, DIM, 10, 0.5), *queries = draw_rows(&seed, M, DIM);
  for (size_t s = 0; s < 2; s++) {
    model_train(&used[s], (model_shape){DIM, 4, 20, 4}, vectors, N);
    mv_codec_free(used[s].codec);
    used[s].spec.seed = seeds[s];
    MUST(codec_of(&used[s].spec, &used[s].codec) == MV_OK);
    collection_build(&docs[s], &used[s], DIM, vectors, lengths, DOCUMENTS, 1);
    views[2 * s] = docs[s].view;
  }
  views[1] = docs[1].view; /* seeds in turn */
  views[2] = docs[0].view;
  mv_place places[3 * DOCUMENTS];
  float scores[3 * DOCUMENTS];
  for (uint32_t i = 0; i < 3 * DOCUMENTS; i++) places[i] = (mv_place){i % 3, i / 3};
  mv_query *query = load(queries, M, DIM);
  for (int mode = MV_SCORE_FAST; mode <= MV_SCORE_PRECISE; mode++) {
    MUST(mv_score(query, views, 3, places, 3 * DOCUMENTS, mode, scores) == MV_OK);
    const double bound = (mode == MV_SCORE_FAST ? fast_error : precise_error) * M;
    for (uint32_t i = 0; i < 3 * DOCUMENTS; i++) {
      const double score = naive_score(&docs[i % 3 == 1], i / 3, queries, M);
      CHECK(fabs((double)scores[i] - score) < bound, "segment %u: %g for %g", i % 3,
            (double)scores[i], score);
    }
  }
  check_matrix(query, &docs[1], 1, queries, M, "the other seed");
  check_matrix(query, &docs[0], 1, queries, M, "and back");
  mv_query_free(query);
  for (size_t s = 0; s < 2; s++) {
    collection_free(&docs[s]);
    model_free(&used[s]);
  }
  free(vectors);
  free(queries);
}

/* Query tokens of zeros score zero. */
static void test_zero(void) {
  static const uint32_t lengths[] = {20};
  enum { DIM = 16, M = 18 };
  const float zeros[M * DIM] = {0};
  model used;
  collection docs;
  float *vectors = draw_rows(&seed, 20, DIM);
  model_train(&used, (model_shape){DIM, 2, 5, 2}, vectors, 20);
  collection_build(&docs, &used, DIM, vectors, lengths, 1, 1);
  mv_query *query = load(zeros, M, DIM);
  check_scores(query, &docs, zeros, M, "zeros");
  mv_query_free(query);
  collection_free(&docs);
  model_free(&used);
  free(vectors);
}

int main(void) {
  test_shapes();
  case_long(2);
  case_long(16);
  test_crowd();
  test_mixed();
  test_reuse();
  test_seeds();
  test_zero();
  return checks_report();
}
