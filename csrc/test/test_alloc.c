/* Memory that runs out: a script of everything the core does, in which each allocation in turn
 * fails, once or from there on. Each failure must come back as MV_ERROR_MEMORY and leave no
 * allocation behind; the script must work again afterwards. */
#include <string.h>

#include "../base/alloc.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "check.h"
#include "packing.h"
#include "termed.h"

/* ---- an allocator that fails on demand ---- */

static long made, live, fail_at;
static int fail_on; /* all after fail_at fail, too */

static void *failing_hook(void *pointer, size_t size) {
  if (size == 0) {
    live--;
    free(pointer);
    return NULL;
  }
  const long number = made++;
  if (number == fail_at || (fail_on && number > fail_at)) return NULL;
  live += pointer == NULL;
  return realloc(pointer, size);
}

/* ---- the script ---- */

enum { DIM = 20, PADDED = 32, TOKENS = 60, CENTROIDS = 6, GROUPS = 2, QUERY = 40, DOCUMENTS = 2 };
enum { CODES = TOKENS * 2, RECORDS = TOKENS * (PADDED / 2 + 2), PLAIN = TOKENS * DIM * 2 };
enum { LISTS = 256 /* bytes of lists, and more */ };

static const uint32_t lengths[DOCUMENTS] = {TOKENS / 3, TOKENS - TOKENS / 3};
static const uint32_t starts[DOCUMENTS + 1] = {0, TOKENS / 3, TOKENS};
static const uint32_t chunks[] = {0, DOCUMENTS};
static const uint32_t group_starts[] = {0, 4, CENTROIDS};
static const uint32_t members[CENTROIDS] = {0, 2, 3, 5, 1, 4};

/* What the script writes; `result` is what its steps agree on from run to run. */
static float *vectors;
static int8_t points[TOKENS * PADDED];
static uint8_t rows[CENTROIDS * PADDED], group_rows[GROUPS * PADDED];
static uint8_t codes[CODES], records[RECORDS], nearest_codes[CODES];
static const uint8_t plain[PLAIN];
static uint32_t nearest[TOKENS];
static float a_scales[MV_SCALES], b_scales[MV_SCALES], fit_a[TOKENS], fit_b[TOKENS];
static float decoded[TOKENS * DIM], scores[4], result[TOKENS * QUERY];
static float distances[TOKENS];
static uint8_t lists_bytes[LISTS];
static uint32_t block_starts[2];
static int8_t document_points[DOCUMENTS * PADDED];
static mv_place places[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};

#define TRY(call)                         \
  do {                                    \
    const mv_status status_ = (call);     \
    if (status_ != MV_OK) return status_; \
  } while (0)

static mv_status train(mv_codec **codec) {
  const mv_codec_spec spec = {DIM,          4,       1,        CENTROIDS, GROUPS, rows, group_rows,
                              group_starts, members, a_scales, b_scales};
  TRY(mv_points(vectors, TOKENS, DIM, 1, points));
  TRY(mv_kmeans(points, TOKENS, DIM, CENTROIDS, 2, 1, rows));
  TRY(mv_kmeans(points, TOKENS, DIM, GROUPS, 2, 1, group_rows));
  TRY(mv_nearest(rows, CENTROIDS, DIM, points, TOKENS, nearest));
  for (int i = 0; i < MV_SCALES; i++) {
    a_scales[i] = (float)i / 100;
    b_scales[i] = (float)i / 10000;
  }
  return codec_of(&spec, codec);
}

static mv_status encode(const mv_codec *codec) {
  double sum;
  TRY(mv_centroids_assign(&codec->centroids, points, TOKENS, nearest));
  TRY(mv_fit_scales(codec, vectors, TOKENS, DIM, fit_a, fit_b));
  TRY(mv_encode(codec, vectors, TOKENS, DIM, lengths, DOCUMENTS, codes, records, &sum));
  TRY(mv_distances(codec, points, TOKENS, PADDED, distances));
  TRY(mv_decode(codec, codes, 2 * lengths[0], 2, records, lengths[0] * mv_token_bytes(DIM, 4),
                lengths[0], decoded));
  mv_near_groups *near;
  TRY(mv_near_groups_new(codec, &near));
  const mv_status status =
      mv_nearest_codes(codec, near, codes, CODES, 2, records, TOKENS * mv_token_bytes(DIM, 4),
                       lengths, DOCUMENTS, nearest_codes);
  mv_near_groups_free(near);
  return status;
}

/* Makes the lists of all documents: one block, one extent. */
static mv_status make_lists(void) {
  uint32_t counts[CENTROIDS], listed[CENTROIDS * DOCUMENTS];
  size_t size;
  TRY(mv_lists_count(codes, 2 * TOKENS, 2, starts, DOCUMENTS, CENTROIDS, counts));
  TRY(mv_lists_collect(codes, 2 * TOKENS, 2, starts, DOCUMENTS, 0, CENTROIDS, counts, listed,
                       CENTROIDS * DOCUMENTS));
  MUST(mv_lists_bound(counts, CENTROIDS) <= LISTS);
  TRY(mv_lists_pack(counts, listed, CENTROIDS, lists_bytes, &block_starts[1], &size));
  return MV_OK;
}

/* Finds documents through lists, with tables of all groups, then of one a token. */
static mv_status gather(const mv_codec *codec, mv_query *query, const mv_segment *segment) {
  static const uint8_t chosen[] = {1};
  static const uint8_t *const allowed[] = {NULL};
  mv_probe probes[MV_LANES_MAX * 2];
  mv_place best[DOCUMENTS];
  uint64_t postings = 0;
  size_t n, wanted_scores;
  float base;
  for (size_t wanted = 0; wanted < 2; wanted++) {
    TRY(mv_query_load(query, vectors, QUERY, DIM));
    query->large = 0;
    query->groups_wanted = wanted;
    TRY(mv_gather_start(query, segment, 1, chosen, 1));
    for (size_t block = 0; block < 2; block++) {
      TRY(mv_probe_lists(query, codec, block, 2, probes, &n, &base));
      TRY(mv_gather_find(query, segment, 1, chosen, allowed, probes, n));
      TRY(mv_gather_add(query, segment, 1, chosen, 0, n, &postings));
    }
    TRY(mv_gather_best(query, segment, 1, chosen, DOCUMENTS, DOCUMENTS, best, scores, &n));
    MUST(n == DOCUMENTS);
    TRY(mv_interact_first(query, segment, 1, best, scores, n, n, 1, 3.0, &wanted_scores));
    TRY(mv_query_order(query, best, scores, n));
    const size_t first = mv_rank_samples(segment, best, scores, n, 1);
    TRY(mv_rank_first(query, segment, 1, best, scores, n, first, 1, 3.0, NULL, 0, &n));
    TRY(mv_rank_rest(query, segment, 1, best, scores, n, first, 1, NULL, 0, &n));
    TRY(mv_refine(query, segment, 1, best, scores, n, 1, 0.1, &n));
  }
  return mv_document_points(segment, document_points);
}

/* A whole search, the first segment taking part in one way. */
static mv_status search_by(mv_query *query, const mv_segment *segments, uint8_t way) {
  static const uint8_t *const allowed[] = {NULL, NULL};
  const uint8_t ways[] = {way, MV_BY_SCORES};
  const mv_plan plan = {.k = 1,
                        .nprobe = 2,
                        .n_candidates = 2,
                        .scores = MV_SCORE_FAST,
                        .refines = 1,
                        .most_faults = UINT64_MAX};
  mv_progress now;
  TRY(mv_search_begin(query, segments, 2, ways, places + (way == MV_BY_SCORES ? 0 : 2),
                      way == MV_BY_SCORES ? 4 : 2, &plan, &now));
  TRY(mv_search_go_on(query, segments, 2, ways, allowed, 0, &now));
  MUST(now.event == MV_EVENT_END && now.n_places == 1);
  return MV_OK;
}

static mv_status search(const mv_codec *codec, mv_query *query) {
  static const uint8_t *const no_codes[] = {NULL}, *const all_plain[] = {plain};
  static const uint8_t *const all_codes[] = {codes}, *const all_records[] = {records};
  static const uint8_t *const allowed[] = {NULL, NULL};
  static const uint32_t extent_blocks[] = {0, 1};
  static const uint8_t *const extents[] = {lists_bytes};
  static const uint8_t both[] = {1, 1};
  static const uint8_t checked[DOCUMENTS] = {1, 1}, checked_blocks[] = {1};
  const mv_lists lists = {CENTROIDS, 1, block_starts, extent_blocks, extents, checked_blocks};
  const mv_segment segments[] = {
      {codec, DIM, DOCUMENTS, 1, 2, 0, starts, chunks, all_codes, all_records, &lists, checked},
      {NULL, DIM, DOCUMENTS, 1, 0, 0, starts, chunks, no_codes, all_plain, NULL, checked}};
  mv_place best[4];
  size_t count;
  for (size_t m = 5; m <= QUERY; m += QUERY - 5) { /* a short query, then one that needs more */
    TRY(mv_query_load(query, vectors, m, DIM));
    TRY(mv_coarse(query, segments, 2, both, allowed, 4, best, scores, &count));
    TRY(mv_score(query, segments, 2, places, 4, MV_SCORE_PART, scores));
    TRY(mv_score(query, segments, 2, places, 4, MV_SCORE_FAST, scores));
    TRY(mv_score(query, segments, 2, places, 4, MV_SCORE_PRECISE, scores));
    TRY(mv_explain(query, &segments[1], 1, lengths[1], result));
    TRY(mv_explain(query, &segments[0], 1, lengths[1], result));
    for (uint8_t way = MV_BY_LISTS; way <= MV_BY_SCORES; way++)
      TRY(search_by(query, segments, way));
  }
  return gather(codec, query, &segments[0]);
}

/* ---- term indexes ---- */

enum { TEXTS = 300 };

static char **texts;

/* Makes blocks until all are made, into an index. */
static mv_status take_blocks(mv_term_builder *builder, mv_term_merge *merge, termed_parts *parts) {
  mv_term_blocks blocks;
  do {
    TRY(builder != NULL ? mv_term_builder_run(builder, 500, &blocks)
                        : mv_term_merge_step(merge, 500, &blocks));
    if (blocks.n > 0) termed_append(parts, &blocks);
  } while (blocks.n > 0);
  return MV_OK;
}

static mv_status search_terms(const mv_terms *terms) {
  static const uint32_t bounds[] = {0, 2, 4};
  static const float weights[] = {1, 2};
  static const uint8_t *const allowed[] = {NULL};
  const mv_term_query query = {{(const uint8_t *)"wawb", bounds, 2}, weights, 1.2F, .75F, 8};
  const mv_terms *const all[] = {terms};
  uint8_t has[TEXTS];
  mv_place best[4];
  size_t count;
  TRY(mv_terms_best(all, 1, &query, allowed, 4, best, scores, &count));
  TRY(mv_terms_score(all, 1, &query, best, count, scores));
  MUST(count == 4 && scores[0] >= scores[3]);
  return mv_terms_containing(terms, &query.terms, has);
}

static mv_status copy_terms(const termed *index) {
  const mv_terms *const all[] = {&index->view};
  uint32_t map[TEXTS];
  const uint32_t *const maps[] = {map};
  for (uint32_t i = 0; i < TEXTS; i++) map[i] = i;
  mv_term_merge *merge;
  termed_parts parts;
  termed copy;
  TRY(mv_term_merge_new(all, maps, 1, index->lengths, TEXTS, &merge));
  termed_begin(&parts);
  mv_status status = take_blocks(NULL, merge, &parts);
  mv_term_merge_free(merge);
  termed_end(&copy, &parts, index->lengths, TEXTS);
  if (status == MV_OK) status = search_terms(&copy.view);
  termed_free(&copy);
  return status;
}

static mv_status use_terms(void) {
  static const uint32_t bounds[] = {0, 2, 4};
  const mv_term_names names = {(const uint8_t *)"wawx", bounds, 2};
  mv_term_builder *builder;
  termed_parts parts;
  termed index;
  uint16_t row_lengths[TEXTS];
  TRY(mv_term_builder_new(1, &builder));
  mv_status status = texts_add(builder, texts, 0, TEXTS);
  if (status == MV_OK) status = mv_term_builder_rename(builder, 3, &names);
  termed_begin(&parts);
  if (status == MV_OK) {
    mv_term_builder_lengths(builder, row_lengths);
    status = take_blocks(builder, NULL, &parts);
  }
  mv_term_builder_free(builder);
  termed_end(&index, &parts, row_lengths, status == MV_OK ? TEXTS : 0);
  if (status == MV_OK) status = copy_terms(&index);
  termed_free(&index);
  return status;
}

/* A text that could not be added can be added later, whichever allocation failed. */
static void test_add_again(void) {
  mv_term_builder *builder;
  termed expected, index;
  fail_on = 0;
  fail_at = -1;
  termed_of_texts(&expected, texts, TEXTS);
  MUST(mv_term_builder_new(1, &builder) == MV_OK);
  long failures = 0;
  for (size_t i = 0; i < TEXTS; i++) {
    for (long at = 0;; at++) {
      fail_at = made + at;
      const mv_status status = texts_add(builder, texts, i, i + 1);
      if (status == MV_OK) break;
      CHECK(status == MV_ERROR_MEMORY, "status %d", (int)status);
      failures++;
    }
  }
  fail_at = -1;
  CHECK(failures > 10, "%ld failures", failures);
  termed_build(&index, builder, 1);
  mv_term_builder_free(builder);
  CHECK(index.view.n_blocks == expected.view.n_blocks, "%u blocks", index.view.n_blocks);
  for (uint32_t e = 0; e < index.view.n_extents; e++)
    CHECK(memcmp(index.extents[e], expected.extents[e], expected.extent_sizes[e]) == 0, "%u", e);
  termed_free(&index);
  termed_free(&expected);
}

/* ---- the whole script ---- */

static mv_status run_script(void) {
  mv_codec *codec = NULL;
  mv_query *query = NULL;
  mv_status status = train(&codec);
  if (status == MV_OK) status = encode(codec);
  if (status == MV_OK) status = make_lists();
  if (status == MV_OK) status = mv_query_new(&query);
  if (status == MV_OK) status = search(codec, query);
  if (status == MV_OK) status = use_terms();
  mv_query_free(query);
  mv_codec_free(codec);
  return status;
}

/* Fails at one allocation after the other until the script no longer gets that far. */
static void test_each(int on, const float *expected) {
  fail_on = on;
  for (fail_at = 0;; fail_at++) {
    made = live = 0;
    const mv_status status = run_script();
    CHECK(live == 0, "allocation %ld fails: %ld left", fail_at, live);
    if (made <= fail_at) {
      CHECK(status == MV_OK, "nothing fails");
      break;
    }
    CHECK(status == MV_ERROR_MEMORY, "allocation %ld fails: status %d", fail_at, (int)status);
  }
  CHECK(memcmp(result, expected, sizeof result) == 0, "another result");
  printf("%ld allocations; ", made);
}

/* A query that could not be loaded can be loaded later, whichever allocation of the load failed. */
static void test_load_again(void) {
  fail_on = 0;
  for (long at = 0;; at++) {
    mv_query *query;
    fail_at = -1;
    MUST(mv_query_new(&query) == MV_OK);
    fail_at = made + at;
    const mv_status status = mv_query_load(query, vectors, QUERY, DIM);
    const int failed = made > fail_at;
    fail_at = -1;
    CHECK(status == (failed ? MV_ERROR_MEMORY : MV_OK), "allocation %ld", at);
    CHECK(mv_query_load(query, vectors, QUERY, DIM) == MV_OK, "loaded at last");
    mv_query_free(query);
    if (!failed) break;
  }
}

/* ---- sizes ---- */

static void test_sizes(void) {
  mv_buffer buffer = {NULL, 0};
  CHECK(mv_alloc(SIZE_MAX / 2, 3) == NULL, "a product that overflows");
  CHECK(mv_buffer_reserve(&buffer, SIZE_MAX / 2, 3) == NULL, "a product that overflows");
  void *empty = mv_alloc(0, 8), *none = mv_alloc(8, 0);
  CHECK(empty != NULL && none != NULL, "nothing is something");
  mv_free(empty);
  mv_free(none);
  mv_free(NULL);
  void *data = mv_buffer_reserve(&buffer, 10, 10);
  CHECK(data != NULL && buffer.capacity == 100, "%zu", buffer.capacity);
  CHECK(mv_buffer_reserve(&buffer, 3, 30) == data, "less keeps the buffer");
  CHECK(mv_buffer_reserve(&buffer, 101, 1) != NULL && buffer.capacity == 101, "more");
  mv_buffer_free(&buffer);
  CHECK(buffer.data == NULL && buffer.capacity == 0, "empty");
  CHECK(mv_buffer_reserve(&buffer, 0, 4) != NULL, "a buffer of nothing");
  mv_buffer_free(&buffer);
}

int main(void) {
  static float expected[TOKENS * QUERY];
  uint64_t seed = 101;
  vectors = draw_rows(&seed, TOKENS, DIM);
  texts = texts_draw(&seed, TEXTS, 900, 12);
  test_sizes();
  MUST(run_script() == MV_OK);
  memcpy(expected, result, sizeof result);
  mv_alloc_set_hook(failing_hook);
  test_each(0, expected);
  test_each(1, expected);
  test_load_again();
  test_add_again();
  CHECK(live == 0, "%ld left", live);
  mv_alloc_set_hook(NULL);
  test_sizes();
  CHECK(run_script() == MV_OK, "the system's allocator again");
  free(vectors);
  texts_free(texts, TEXTS);
  return checks_report();
}
