/* The coarse stage: its scores against centroid interaction in double, what it returns in which
 * order. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "../vectors/rotation.h"
#include "check.h"
#include "collection.h"
#include "isa_names.h"

static uint64_t seed = 61;

enum { N_SEGMENTS = 4, MAX_DOCUMENTS = 40 };

/* Segments of two codecs, one of float16, and an empty one. */
typedef struct world {
  size_t dim;
  model models[2];
  const model *of[N_SEGMENTS];
  collection parts[N_SEGMENTS];
  mv_segment views[N_SEGMENTS];
  size_t n_documents; /* of segments with codes */
} world;

static void world_build(world *w, uint32_t dim, uint32_t n_centroids) {
  enum { N = 600 };
  static const uint32_t documents[N_SEGMENTS] = {MAX_DOCUMENTS, 10, 23, 0};
  float *vectors = draw_topics(&seed, N, dim, 30, 0.6);
  uint32_t lengths[MAX_DOCUMENTS];
  for (uint32_t i = 0; i < MAX_DOCUMENTS; i++) lengths[i] = 1 + i * 5 % 17;
  w->dim = dim;
  w->n_documents = 0;
  model_train(&w->models[0], (model_shape){dim, 1, n_centroids, 7}, vectors, N);
  model_train(&w->models[1], (model_shape){dim, 2, 12, 2}, vectors, N);
  const model *of[N_SEGMENTS] = {&w->models[0], NULL, &w->models[1], &w->models[0]};
  for (uint32_t s = 0; s < N_SEGMENTS; s++) {
    w->of[s] = of[s];
    collection_build(&w->parts[s], of[s], dim, vectors + s * dim, lengths, documents[s],
                     documents[s] < 4 ? documents[s] : 1 + 3 * s);
    w->views[s] = w->parts[s].view;
    w->n_documents += of[s] != NULL ? documents[s] : 0;
  }
  free(vectors);
}

static void world_free(world *w) {
  for (size_t s = 0; s < N_SEGMENTS; s++) collection_free(&w->parts[s]);
  model_free(&w->models[0]);
  model_free(&w->models[1]);
}

static int is_allowed(const uint8_t *const *allowed, mv_place place) {
  const uint8_t *bits = allowed[place.segment];
  return bits == NULL || (bits[place.document / 8] >> place.document % 8 & 1) != 0;
}

/* Rotates the query once: rows of centroids live in the rotated space. */
static double *rotate(const float *vectors, size_t m, size_t dim) {
  const size_t padded = mv_padded_dim(dim);
  mv_rotation rotation;
  float *row = room(padded, sizeof *row);
  double *rotated = room(m * padded, sizeof *rotated);
  MUST(mv_rotation_init(&rotation, dim, ROTATION_SEED) == MV_OK);
  for (size_t i = 0; i < m; i++) {
    mv_rotation_apply(&rotation, vectors + i * dim, row);
    for (size_t d = 0; d < padded; d++) rotated[i * padded + d] = (double)row[d];
  }
  mv_rotation_free(&rotation);
  free(row);
  return rotated;
}

/* Scores of a query's m tokens with the centroids of a document's tokens: best, summed. */
static double naive_coarse(const world *w, mv_place place, const double *rotated, size_t m) {
  const collection *part = &w->parts[place.segment];
  const size_t padded = mv_padded_dim(w->dim);
  const uint32_t n = part->starts[place.document + 1] - part->starts[place.document];
  double *centroids = room(n * padded, sizeof *centroids), score = 0;
  for (uint32_t t = 0; t < n; t++) {
    centroid_vector(w->of[place.segment], collection_code(part, place.document, t),
                    centroids + t * padded);
  }
  for (size_t i = 0; i < m; i++) {
    double best = -HUGE_VAL;
    for (uint32_t t = 0; t < n; t++) {
      double dot = 0;
      for (size_t d = 0; d < padded; d++)
        dot += rotated[i * padded + d] * centroids[t * padded + d];
      best = dot > best ? dot : best;
    }
    score += best;
  }
  free(centroids);
  return score;
}

typedef struct found {
  mv_place *places;
  float *scores;
  size_t count;
} found;

static const uint8_t everything[N_SEGMENTS] = {1, 1, 1, 1};

static found coarse(mv_query *query, const world *w, const uint8_t *const *allowed, size_t limit) {
  const size_t most = limit < w->n_documents ? limit : w->n_documents;
  found out = {room(most, sizeof(mv_place)), room(most, sizeof(float)), 99};
  CHECK(mv_coarse(query, w->views, N_SEGMENTS, everything, allowed, limit, out.places, out.scores,
                  &out.count) == MV_OK,
        "limit %zu", limit);
  return out;
}

static void found_free(found *used) {
  free(used->places);
  free(used->scores);
}

/* Off by no more than half a byte's step of the widest range (at most 2 / 255) and the rounding of
 * the query to eight bits, per query token; less as the errors of many tokens cancel out. */
static double coarse_error(size_t m) { return 0.016 * (double)m; }

static void check_limits(mv_query *query, const world *w, const uint8_t *const *allowed,
                         const found *all) {
  static const size_t limits[] = {0, 1, 9, 63, 1000};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    found some = coarse(query, w, allowed, limits[i]);
    CHECK(some.count == (limits[i] < all->count ? limits[i] : all->count), "%zu", some.count);
    CHECK(memcmp(some.places, all->places, some.count * sizeof(mv_place)) == 0, "the same places");
    CHECK(memcmp(some.scores, all->scores, some.count * sizeof(float)) == 0, "the same scores");
    found_free(&some);
  }
}

static void check_coarse(const world *w, mv_query *query, const float *vectors, size_t m,
                         const uint8_t *const *allowed) {
  double *rotated = rotate(vectors, m, w->dim);
  size_t expected = 0;
  for (uint32_t s = 0; s < N_SEGMENTS; s++) {
    for (uint32_t i = 0; w->of[s] != NULL && i < w->views[s].n_documents; i++) {
      expected += (size_t)is_allowed(allowed, (mv_place){s, i});
    }
  }
  found all = coarse(query, w, allowed, SIZE_MAX);
  CHECK(all.count == expected, "%zu of %zu", all.count, expected);
  for (size_t i = 0; i < all.count; i++) {
    const double score = naive_coarse(w, all.places[i], rotated, m);
    const double off = fabs((double)all.scores[i] - score);
    CHECK(is_allowed(allowed, all.places[i]), "rank %zu is not allowed", i);
    CHECK(off < coarse_error(m), "rank %zu, %zu tokens: off by %g", i, m, off / (double)m);
    CHECK(i == 0 || in_order(all.scores[i - 1], all.places[i - 1], all.scores[i], all.places[i]),
          "rank %zu is not in order", i);
  }
  check_limits(query, w, allowed, &all);
  found_free(&all);
  free(rotated);
}

/* Segments that are not chosen are left out as if they were not there. */
static void check_chosen(const world *w, mv_query *query, const uint8_t *const *allowed) {
  found all = coarse(query, w, allowed, SIZE_MAX), some = coarse(query, w, allowed, SIZE_MAX);
  for (unsigned set = 0; set < 1U << N_SEGMENTS; set++) {
    uint8_t chosen[N_SEGMENTS];
    size_t kept = 0;
    for (size_t s = 0; s < N_SEGMENTS; s++) chosen[s] = (uint8_t)(set >> s & 1);
    CHECK(mv_coarse(query, w->views, N_SEGMENTS, chosen, allowed, SIZE_MAX, some.places,
                    some.scores, &some.count) == MV_OK,
          "segments %u", set);
    for (size_t i = 0; i < all.count; i++) {
      if (!chosen[all.places[i].segment]) continue;
      CHECK(memcmp(&some.places[kept], &all.places[i], sizeof(mv_place)) == 0 &&
                some.scores[kept] == all.scores[i],
            "segments %u: rank %zu", set, kept);
      kept++;
    }
    CHECK(some.count == kept, "segments %u: %zu, not %zu", set, some.count, kept);
  }
  found_free(&all);
  found_free(&some);
}

/* The interaction of chosen places is what the coarse stage gives them. */
static void check_interact(const world *w, mv_query *query, const uint8_t *const *allowed) {
  found all = coarse(query, w, allowed, SIZE_MAX);
  const size_t n = all.count;
  mv_place *places = room(n, sizeof *places);
  float *scores = room(n, sizeof *scores);
  memcpy(places, all.places, n * sizeof *places);
  memset(scores, 0, n * sizeof *scores);
  shuffle(&seed, places, scores, n);
  CHECK(mv_interact(query, w->views, N_SEGMENTS, places, n, scores) == MV_OK, "%zu places", n);
  MUST(mv_query_order(query, places, scores, n) == MV_OK);
  CHECK(memcmp(places, all.places, n * sizeof *places) == 0, "%zu places", n);
  CHECK(memcmp(scores, all.scores, n * sizeof *scores) == 0, "%zu scores", n);
  CHECK(mv_interact(query, w->views, N_SEGMENTS, places, 0, scores) == MV_OK, "no places");
  static const mv_place wrong[] = {{N_SEGMENTS, 0}, {0, MAX_DOCUMENTS}, {1, 0}, {3, 0}};
  for (size_t i = 0; i < 4; i++) { /* beyond, beyond, without codes, beyond nothing */
    mv_place place = wrong[i];
    CHECK(mv_interact(query, w->views, N_SEGMENTS, &place, 1, scores) == MV_ERROR_ARGUMENT,
          "place %zu", i);
  }
  found_free(&all);
  free(places);
  free(scores);
}

static void check_isas(const world *w, mv_query *query, const float *vectors, size_t m) {
  static const uint8_t *const all[N_SEGMENTS] = {NULL};
  const char *before = mv_isa();
  found expected = coarse(query, w, all, 50);
  for (size_t i = 0; i < N_ISAS; i++) {
    if (!mv_isa_select(isa_names[i])) continue;
    MUST(mv_query_load(query, vectors, m, w->dim) == MV_OK);
    found got = coarse(query, w, all, 50);
    CHECK(memcmp(got.scores, expected.scores, got.count * sizeof(float)) == 0, "%s", isa_names[i]);
    CHECK(memcmp(got.places, expected.places, got.count * sizeof(mv_place)) == 0, "%s",
          isa_names[i]);
    found_free(&got);
  }
  MUST(mv_isa_select(before));
  found_free(&expected);
}

static void case_coarse(const world *w, size_t m) {
  float *vectors = draw_topics(&seed, m, w->dim, 30, 0.6);
  mv_query *query;
  uint8_t *bits[N_SEGMENTS];
  const uint8_t *allowed[N_SEGMENTS] = {NULL};
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vectors, m, w->dim) == MV_OK);
  check_coarse(w, query, vectors, m, allowed);
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    const size_t bytes = (w->views[s].n_documents + 7) / 8;
    bits[s] = room(bytes, 1);
    for (size_t i = 0; i < bytes; i++) bits[s][i] = (uint8_t)mv_random_next(&seed);
  }
  allowed[0] = bits[0];
  check_coarse(w, query, vectors, m, allowed);
  memset(bits[2], 0, (w->views[2].n_documents + 7) / 8);
  for (size_t s = 0; s < N_SEGMENTS; s++) allowed[s] = bits[s];
  check_coarse(w, query, vectors, m, allowed);
  check_chosen(w, query, allowed);
  check_interact(w, query, allowed);
  check_isas(w, query, vectors, m);
  for (size_t s = 0; s < N_SEGMENTS; s++) free(bits[s]);
  mv_query_free(query);
  free(vectors);
}

static void test_coarse(void) {
  static const size_t tokens[] = {1, 16, 17, 32, 33, 100, 4096};
  static const uint32_t dims[] = {1, 16, 100};
  world w;
  for (size_t i = 0; i < 3; i++) {
    world_build(&w, dims[i], 50);
    for (size_t j = 0; j < (i == 1 ? 7 : 6); j++) case_coarse(&w, tokens[j]);
    world_free(&w);
  }
  world_build(&w, 16, 66000); /* codes of three bytes */
  case_coarse(&w, 17);
  world_free(&w);
}

/* ---- borders ---- */

/* Documents that are equal come in the order of their places; documents alone or none at all. */
static void test_ties(void) {
  enum { N = 50, DIM = 8 };
  model used;
  collection docs;
  uint32_t lengths[N];
  float *vector = draw_rows(&seed, 1, DIM), *vectors = room(N * DIM, sizeof(float));
  for (uint32_t i = 0; i < N; i++) {
    lengths[i] = 1;
    memcpy(vectors + i * DIM, vector, DIM * sizeof(float));
  }
  model_train(&used, (model_shape){DIM, 2, 3, 1}, vectors, N);
  collection_build(&docs, &used, DIM, vectors, lengths, N, 4);
  const mv_segment both[2] = {docs.view, docs.view};
  const uint8_t *const allowed[2] = {NULL, NULL};
  mv_query *query;
  mv_place places[2 * N];
  float scores[2 * N];
  size_t count;
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vector, 1, DIM) == MV_OK);
  for (size_t limit = 0; limit <= 2 * N; limit++) {
    CHECK(mv_coarse(query, both, 2, everything, allowed, limit, places, scores, &count) == MV_OK,
          "ties");
    CHECK(count == limit, "%zu of %zu", count, limit);
    for (uint32_t i = 0; i < count; i++) {
      CHECK(places[i].segment == i / N && places[i].document == i % N, "rank %u", i);
    }
  }
  CHECK(mv_coarse(query, both, 0, NULL, NULL, 5, places, scores, &count) == MV_OK, "no segments");
  CHECK(count == 0, "%zu of no segments", count);
  float *wide = draw_rows(&seed, 1, 40);
  MUST(mv_query_load(query, wide, 1, 40) == MV_OK);
  CHECK(mv_coarse(query, both, 2, everything, allowed, 5, places, scores, &count) ==
            MV_ERROR_ARGUMENT,
        "a query of other dimensions");
  CHECK(mv_interact(query, both, 2, places, 1, scores) == MV_ERROR_ARGUMENT, "the same");
  mv_query_free(query);
  collection_free(&docs);
  model_free(&used);
  free(vector);
  free(vectors);
  free(wide);
}

/* A document of many tokens, more than fit one pass of anything. */
static void test_long(void) {
  enum { N = 100001, DIM = 16, M = 33 };
  static const uint32_t lengths[N_SEGMENTS] = {1, N - 1};
  world w = {.dim = DIM, .n_documents = 2};
  float *vectors = draw_topics(&seed, N, DIM, 30, 0.5), *queries = draw_rows(&seed, M, DIM);
  model_train(&w.models[0], (model_shape){DIM, 1, 200, 10}, vectors, 3000);
  collection_build(&w.parts[0], &w.models[0], DIM, vectors, lengths, 2, 2);
  w.of[0] = &w.models[0];
  const uint8_t *const allowed[1] = {NULL};
  mv_query *query;
  mv_place places[2];
  float scores[2];
  size_t count;
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, queries, M, DIM) == MV_OK);
  CHECK(mv_coarse(query, &w.parts[0].view, 1, everything, allowed, 2, places, scores, &count) ==
            MV_OK,
        "long");
  CHECK(count == 2 && places[0].document == 1, "the long document is the best");
  double *rotated = rotate(queries, M, DIM);
  for (size_t i = 0; i < 2; i++) {
    const double score = naive_coarse(&w, places[i], rotated, M);
    CHECK(fabs((double)scores[i] - score) < coarse_error(M), "document %u", places[i].document);
  }
  mv_query_free(query);
  collection_free(&w.parts[0]);
  model_free(&w.models[0]);
  free(vectors);
  free(queries);
  free(rotated);
}

int main(void) {
  test_coarse();
  test_ties();
  test_long();
  return checks_report();
}
