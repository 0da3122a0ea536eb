/* Searches: what they find, against scores in double; and that they read nothing before it is
 * verified: bytes that the search was not told of are wrong until it tells of them. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../postings/lists.h"
#include "check.h"
#include "collection.h"
#include "packing.h"

static uint64_t seed = 577;

enum { N = 5, DIM = 24, K = 6, MOST = 200, CENTROIDS = 60, WRONG = 0xEE };

/* Segments of two codecs with lists, one with its codes apart, one of float16, one empty. What is
 * not verified has wrong bytes; `files` has the right ones. */
typedef struct world {
  model models[2];
  collection parts[N], files[N];
  packing lists[N], list_files[N];
  mv_segment views[N];
  uint8_t *checked[N], *checked_blocks[N];
  uint8_t *bits[N];
  const uint8_t *allowed[N];
} world;

static const uint32_t documents[N] = {70, 40, 55, 9, 0};
static const uint8_t model_of[N] = {0, 1, 0, 2, 0}; /* 2: none */

static uint8_t *codes_apart(const collection *from) {
  uint8_t *codes = room(from->n_tokens + 1, from->code_bytes), *at = codes;
  for (uint32_t c = 0; c < from->view.n_chunks; c++) {
    memcpy(at, from->codes[c], from->codes_sizes[c]);
    at += from->codes_sizes[c];
  }
  return codes;
}

static void build_lists(packing *out, const collection *from) {
  uint8_t *codes = codes_apart(from);
  packing_of_codes(out, codes, from->code_bytes, from->starts, from->view.n_documents, CENTROIDS,
                   2);
  free(codes);
}

/* Documents in the fourth segment have no codec, those in the third have codes apart from
 * records. */
static void build_segment(world *w, size_t s, const float *vectors, const uint32_t *lengths) {
  const model *used = model_of[s] < 2 ? &w->models[model_of[s]] : NULL;
  collection plain, *parts[2] = {&w->parts[s], &w->files[s]};
  packing *lists[2] = {&w->lists[s], &w->list_files[s]};
  const uint32_t chunks = documents[s] < 3 ? documents[s] : 3;
  for (int copy = 0; copy < 2; copy++) {
    if (used == NULL || s == 2) {
      collection_build(parts[copy], used, DIM, vectors, lengths, documents[s], chunks);
    } else {
      collection_build(&plain, used, DIM, vectors, lengths, documents[s], chunks);
      collection_inline(parts[copy], &plain);
      if (documents[s] > 0) build_lists(lists[copy], &plain);
      collection_free(&plain);
    }
  }
  w->views[s] = w->parts[s].view;
  w->checked[s] = room(documents[s] + 1, 1);
  w->views[s].checked = w->checked[s];
  w->checked_blocks[s] = room(CENTROIDS, 1);
  w->lists[s].view.checked = w->checked_blocks[s];
  if (s < 2) w->views[s].lists = &w->lists[s].view;
  w->bits[s] = room(documents[s] / 8 + 1, 1);
  for (size_t i = 0; i <= documents[s] / 8; i++) {
    w->bits[s][i] = (uint8_t)(mv_random_next(&seed) | mv_random_next(&seed));
  }
}

static void world_build(world *w) {
  memset(w, 0, sizeof *w);
  uint32_t lengths[MOST];
  for (uint32_t i = 0; i < MOST; i++) lengths[i] = 1 + i * 5 % 7;
  float *vectors = draw_topics(&seed, 7 * MOST, DIM, 30, 0.6);
  model_train(&w->models[0], (model_shape){DIM, 2, CENTROIDS, 7}, vectors, 600);
  model_train(&w->models[1], (model_shape){DIM, 4, CENTROIDS, 5}, vectors, 500);
  for (size_t s = 0; s < N; s++) build_segment(w, s, vectors + s * DIM, lengths);
  free(vectors);
}

static void world_free(world *w) {
  for (size_t s = 0; s < N; s++) {
    collection_free(&w->parts[s]);
    collection_free(&w->files[s]);
    if (s < 2) packing_free(&w->lists[s]);
    if (s < 2) packing_free(&w->list_files[s]);
    free(w->checked[s]);
    free(w->checked_blocks[s]);
    free(w->bits[s]);
  }
  model_free(&w->models[0]);
  model_free(&w->models[1]);
}

/* ---- verified or not ---- */

/* Makes all bytes right and verified, or wrong and not. */
static void verify_all(world *w, int yes) {
  for (size_t s = 0; s < N; s++) {
    memset(w->checked[s], yes, documents[s]);
    memset(w->checked_blocks[s], yes, CENTROIDS);
    for (uint32_t c = 0; c < w->views[s].n_chunks; c++) {
      const size_t size = w->parts[s].records_sizes[c];
      if (yes) memcpy(w->parts[s].records[c], w->files[s].records[c], size);
      if (!yes) memset(w->parts[s].records[c], WRONG, size);
    }
    for (uint32_t e = 0; s < 2 && e < w->lists[s].view.n_extents; e++) {
      const size_t size = w->lists[s].extent_sizes[e];
      if (yes) memcpy(w->lists[s].extents[e], w->list_files[s].extents[e], size);
      if (!yes) memset(w->lists[s].extents[e], WRONG, size);
    }
  }
}

static void verify_record(world *w, mv_place place) {
  const size_t s = place.segment;
  const collection *part = &w->parts[s];
  uint32_t c = 0;
  while (part->chunk_documents[c + 1] <= place.document) c++;
  const uint32_t first = part->starts[part->chunk_documents[c]];
  const size_t begin = (part->starts[place.document] - first) * part->token_bytes;
  const size_t end = (part->starts[place.document + 1] - first) * part->token_bytes;
  memcpy(part->records[c] + begin, w->files[s].records[c] + begin, end - begin);
  w->checked[s][place.document] = 1;
}

static void verify_block(world *w, size_t s, uint32_t block) {
  size_t size;
  const uint8_t *to = mv_lists_block(&w->lists[s].view, block, &size);
  const uint8_t *from = mv_lists_block(&w->list_files[s].view, block, &size);
  memcpy((uint8_t *)(uintptr_t)to, from, size);
  w->checked_blocks[s][block] = 1;
}

/* Verifies what a search waits for. */
static void serve(world *w, const uint8_t *ways, const mv_progress *told) {
  for (size_t i = 0; told->event == MV_EVENT_RECORDS && i < told->n_places; i++) {
    verify_record(w, told->places[i]);
  }
  for (size_t i = 0; told->event == MV_EVENT_LISTS && i < told->n_probes; i++) {
    for (size_t s = 0; s < 2; s++) {
      if (ways[s] == MV_BY_LISTS && w->views[s].codec == w->views[told->segment].codec)
        verify_block(w, s, told->probes[i].list / MV_LISTS_BLOCK);
    }
  }
}

/* ---- a search to its end ---- */

typedef struct answer {
  size_t n;
  mv_place places[MOST];
  float scores[MOST];
  unsigned events[5]; /* of each kind */
} answer;

static int is_allowed(const world *w, mv_place place) {
  const uint8_t *bits = w->allowed[place.segment];
  return bits == NULL || (bits[place.document / 8] >> place.document % 8 & 1) != 0;
}

/* The allowed documents of segments found by scores; their number. */
static size_t list_given(const world *w, const uint8_t *ways, mv_place *given) {
  size_t n = 0;
  for (uint32_t s = 0; s < N; s++) {
    for (uint32_t i = 0; ways[s] == MV_BY_SCORES && i < documents[s]; i++) {
      if (is_allowed(w, (mv_place){s, i})) given[n++] = (mv_place){s, i};
    }
  }
  return n;
}

static void run(world *w, mv_query *query, const uint8_t *ways, const mv_plan *plan, int one_stage,
                answer *out) {
  mv_progress now;
  mv_place given[MOST];
  memset(out, 0, sizeof *out);
  const size_t n_given = list_given(w, ways, given);
  CHECK(mv_search_begin(query, w->views, N, ways, given, n_given, plan, &now) == MV_OK, "begin");
  memset(given, WRONG, sizeof given); /* they are the query's now */
  do {
    const mv_status status = mv_search_go_on(query, w->views, N, ways, w->allowed, one_stage, &now);
    CHECK(status == MV_OK, "stage %d: status %d", now.stage, (int)status);
    if (status != MV_OK) return;
    out->events[now.event]++;
    for (size_t i = 1; now.stage == MV_STAGE_SCORES && i < now.n_places; i++) {
      CHECK(now.event != MV_EVENT_STAGE ||
                in_order(now.scores[i - 1], now.places[i - 1], now.scores[i], now.places[i]),
            "rank %zu by codes", i);
    }
    serve(w, ways, &now);
  } while (now.event != MV_EVENT_END);
  out->n = now.n_places;
  MUST(out->n <= MOST);
  if (out->n == 0) return;
  memcpy(out->places, now.places, out->n * sizeof *now.places);
  memcpy(out->scores, now.scores, out->n * sizeof *now.scores);
}

static void check_same(const answer *one, const answer *other, const char *what) {
  CHECK(one->n == other->n, "%s: %zu and %zu", what, one->n, other->n);
  CHECK(memcmp(one->places, other->places, one->n * sizeof *one->places) == 0, "%s", what);
  CHECK(memcmp(one->scores, other->scores, one->n * sizeof *one->scores) == 0, "%s", what);
}

/* Every score is right; nothing is found twice; and `complete`: no allowed document is better. */
static void check_scores(const world *w, const answer *found, const float *query, size_t m,
                         int complete) {
  const double error = 2e-4 * (double)m;
  double least = HUGE_VAL;
  for (size_t i = 0; i < found->n; i++) {
    const mv_place place = found->places[i];
    const double score = naive_score(&w->files[place.segment], place.document, query, m);
    CHECK(fabs(score - (double)found->scores[i]) < error, "%u:%u", place.segment, place.document);
    CHECK(is_allowed(w, place), "%u:%u", place.segment, place.document);
    for (size_t j = 0; j < i; j++) {
      CHECK(memcmp(&found->places[j], &place, sizeof place) != 0, "%zu twice", i);
    }
    least = score < least ? score : least;
  }
  for (uint32_t s = 0; complete && s < N; s++) {
    for (uint32_t i = 0; i < documents[s]; i++) {
      size_t at = 0;
      if (!is_allowed(w, (mv_place){s, i})) continue;
      while (at < found->n && (found->places[at].segment != s || found->places[at].document != i))
        at++;
      CHECK(at < found->n || naive_score(&w->files[s], i, query, m) < least + error, "%u:%u", s, i);
    }
  }
}

/* ---- tests ---- */

static mv_plan patient(int refines) {
  return (mv_plan){.k = K,
                   .nprobe = CENTROIDS,
                   .n_candidates = 1000,
                   .deviations = 1e6,
                   .error = 0.3,
                   .scores = MV_SCORE_FAST,
                   .refines = refines,
                   .most_faults = UINT64_MAX};
}

/* Of one query and one way for each segment. */
static void check_ways(world *w, mv_query *query, const float *vectors, size_t m,
                       const uint8_t *ways) {
  static answer verified, hidden, stepped, told, rest;
  mv_plan plan = patient(1);
  const int by_lists = ways[0] == MV_BY_LISTS || ways[1] == MV_BY_LISTS;
  MUST(mv_query_load(query, vectors, m, DIM) == MV_OK);
  verify_all(w, 1);
  run(w, query, ways, &plan, 0, &verified);
  CHECK(verified.n >= K || by_lists, "%zu found", verified.n);
  CHECK(verified.events[MV_EVENT_RECORDS] + verified.events[MV_EVENT_LISTS] == 0, "told");
  check_scores(w, &verified, vectors, m, !by_lists);
  run(w, query, ways, &plan, 1, &stepped);
  CHECK(stepped.events[MV_EVENT_STAGE] > 0, "stages");
  check_same(&stepped, &verified, "stage by stage");
  plan.early_ranks = 2;
  verify_all(w, 0);
  run(w, query, ways, &plan, 0, &hidden);
  check_same(&hidden, &verified, "not verified before");
  CHECK((hidden.events[MV_EVENT_LISTS] > 0) == by_lists, "lists");
  CHECK((hidden.events[MV_EVENT_EARLY] > 0) == by_lists, "early");
  CHECK(hidden.events[MV_EVENT_RECORDS] > 0, "records");
  run(w, query, ways, &plan, 0, &rest);
  CHECK(rest.events[MV_EVENT_RECORDS] + rest.events[MV_EVENT_LISTS] == 0, "told again");
  plan.most_faults = 0;
  run(w, query, ways, &plan, 0, &told);
  check_same(&told, &verified, "perhaps out of memory");
  CHECK((told.events[MV_EVENT_LISTS] > 0) == by_lists, "lists");
  plan = patient(0);
  run(w, query, ways, &plan, 0, &rest);
  CHECK(rest.n >= verified.n, "without the last stage: %zu", rest.n);
}

static void test_ways(void) {
  static const size_t tokens[] = {1, 9, 17, 33, 70};
  static world w;
  mv_query *query;
  world_build(&w);
  MUST(mv_query_new(&query) == MV_OK);
  for (unsigned choice = 0; choice < 18 * 5; choice++) {
    const size_t m = tokens[choice / 18];
    const unsigned of = choice % 18;
    const uint8_t ways[N] = {(uint8_t)(of % 3), (uint8_t)(of / 3 % 3),
                             of < 9 ? MV_BY_CODES : MV_BY_SCORES, MV_BY_SCORES, MV_BY_CODES};
    float *vectors = draw_topics(&seed, m, DIM, 30, 0.6);
    for (size_t s = 0; s < N; s++) w.allowed[s] = (choice >> s & 1) != 0 ? w.bits[s] : NULL;
    check_ways(&w, query, vectors, m, ways);
    free(vectors);
  }
  mv_query_free(query);
  world_free(&w);
}

/* Fewer candidates are the best of more. */
static void test_candidates(void) {
  static world w;
  static answer all, some;
  static const uint8_t ways[N] = {MV_BY_CODES, MV_BY_LISTS, MV_BY_CODES, MV_BY_SCORES, MV_BY_CODES};
  mv_query *query;
  world_build(&w);
  verify_all(&w, 1);
  MUST(mv_query_new(&query) == MV_OK);
  float *vectors = draw_topics(&seed, 8, DIM, 30, 0.6);
  MUST(mv_query_load(query, vectors, 8, DIM) == MV_OK);
  mv_plan plan = patient(0);
  run(&w, query, ways, &plan, 0, &all);
  for (size_t n = 0; n < 150; n += 7) {
    plan.n_candidates = n;
    run(&w, query, ways, &plan, 0, &some);
    CHECK(some.n <= n + documents[3], "%zu candidates: %zu", n, some.n);
    CHECK(some.n <= all.n, "%zu of %zu", some.n, all.n);
  }
  plan = patient(1);
  plan.scores = MV_SCORE_PRECISE;
  run(&w, query, (const uint8_t[N]){2, 2, 2, 2, 2}, &plan, 0, &all);
  CHECK(all.n == K, "the best of precise scores: %zu", all.n);
  check_scores(&w, &all, vectors, 8, 1);
  free(vectors);
  mv_query_free(query);
  world_free(&w);
}

static void test_refusals(void) {
  static world w;
  static const uint8_t fine[N] = {MV_BY_LISTS, MV_BY_CODES, MV_BY_CODES, MV_BY_SCORES, MV_BY_CODES};
  static const uint8_t wrong[3][N] = {{0, 1, 1, 1, 1}, {0, 0, 0, 2, 1}, {3, 1, 1, 2, 1}};
  mv_query *query;
  mv_progress now;
  mv_plan plan = patient(1);
  world_build(&w);
  MUST(mv_query_new(&query) == MV_OK);
  float *vectors = draw_rows(&seed, 3, DIM + 1);
  MUST(mv_query_load(query, vectors, 3, DIM) == MV_OK);
  for (size_t i = 0; i < 3; i++) { /* codes without a codec, lists without any, no way */
    CHECK(mv_search_begin(query, w.views, N, wrong[i], NULL, 0, &plan, &now) == MV_ERROR_ARGUMENT,
          "%zu", i);
  }
  CHECK(mv_search_begin(query, w.views, N, fine, NULL, 0, &plan, &now) == MV_OK, "fine");
  for (size_t i = 0; i < 3; i++) { /* of a segment found by lists, beyond one, of none */
    static const mv_place others[] = {{0, 0}, {3, 9}, {N, 0}};
    CHECK(mv_search_begin(query, w.views, N, fine, &others[i], 1, &plan, &now) == MV_ERROR_ARGUMENT,
          "given %zu", i);
  }
  CHECK(mv_search_begin(query, w.views, N, fine, NULL, 0, &plan, &now) == MV_OK, "fine");
  CHECK(mv_search_go_on(query, w.views, N - 1, fine, w.allowed, 0, &now) == MV_ERROR_ARGUMENT,
        "other segments");
  verify_all(&w, 0);
  memset(w.checked_blocks[0], 1, CENTROIDS); /* a caller that lies */
  CHECK(mv_search_go_on(query, w.views, N, fine, w.allowed, 0, &now) == MV_ERROR_CORRUPT, "wrong");
  CHECK(now.stage == MV_STAGE_GATHER, "stage %d", now.stage);
  CHECK(mv_search_go_on(query, w.views, N, fine, w.allowed, 0, &now) == MV_OK, "over");
  CHECK(now.event == MV_EVENT_END, "event %d", now.event);
  plan.k = 0;
  CHECK(mv_search_begin(query, w.views, N, fine, NULL, 0, &plan, &now) == MV_ERROR_ARGUMENT, "k");
  plan = patient(1);
  plan.nprobe = 0;
  CHECK(mv_search_begin(query, w.views, N, fine, NULL, 0, &plan, &now) == MV_ERROR_ARGUMENT,
        "nprobe");
  plan = patient(1);
  MUST(mv_query_load(query, vectors, 3, DIM + 1) == MV_OK);
  CHECK(mv_search_begin(query, w.views, N, fine, NULL, 0, &plan, &now) == MV_ERROR_ARGUMENT, "dim");
  CHECK(mv_search_begin(query, NULL, 0, NULL, NULL, 0, &plan, &now) == MV_OK, "no segments");
  CHECK(mv_search_go_on(query, NULL, 0, NULL, NULL, 0, &now) == MV_OK, "no segments");
  CHECK(now.event == MV_EVENT_END && now.n_places == 0, "no segments");
  free(vectors);
  mv_query_free(query);
  world_free(&w);
}

int main(void) {
  test_ways();
  test_candidates();
  test_refusals();
  return checks_report();
}
