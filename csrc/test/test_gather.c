/* Gathering: the gains of documents against a model that scans every document. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"
#include "packing.h"

static uint64_t seed = 149;

enum { N_SEGMENTS = 4, N_LISTS = 45, MOST_PROBES = 400 };

/* Segments need no codec here: lists alone count. */
typedef struct world {
  uint32_t n_documents[N_SEGMENTS], n_lists[N_SEGMENTS];
  uint8_t *has[N_SEGMENTS]; /* [n_documents][N_LISTS] */
  packing lists[N_SEGMENTS];
  mv_segment views[N_SEGMENTS];
  uint8_t *bits[N_SEGMENTS];
  size_t first[N_SEGMENTS + 1]; /* of the model's documents */
} world;

static void world_build(world *w, const uint32_t *n_documents, const uint32_t *n_lists) {
  memset(w, 0, sizeof *w);
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    const uint32_t n = n_documents[s];
    uint32_t counts[N_LISTS] = {0}, total = 0;
    uint32_t *documents = room((size_t)n * N_LISTS + 1, sizeof *documents);
    w->has[s] = room((size_t)n * N_LISTS + 1, 1);
    memset(w->has[s], 0, (size_t)n * N_LISTS);
    for (uint32_t c = 0; c < n_lists[s]; c++) {
      const uint64_t one_in = 1 + c * c / 4; /* all, then ever fewer */
      for (uint32_t i = 0; i < n; i++) {
        if (mv_random_below(&seed, one_in) > 0) continue;
        w->has[s][i * N_LISTS + c] = 1;
        documents[total++] = i;
        counts[c]++;
      }
    }
    packing_build(&w->lists[s], counts, documents, n_lists[s], 2);
    free(documents);
    w->n_documents[s] = n;
    w->n_lists[s] = n_lists[s];
    w->views[s].n_documents = n;
    w->views[s].lists = &w->lists[s].view;
    w->first[s + 1] = w->first[s] + n;
    w->bits[s] = room((n + 7) / 8, 1);
    for (size_t i = 0; i < (n + 7) / 8; i++) w->bits[s][i] = (uint8_t)mv_random_next(&seed);
  }
}

static void world_free(world *w) {
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    free(w->has[s]);
    packing_free(&w->lists[s]);
    free(w->bits[s]);
  }
}

/* What a document has gained so far: whole units of 1 / 65536, and whether it was found at all. */
typedef struct gained {
  uint64_t units;
  int found;
} gained;

/* Probes of a block: those that find, by rank, then token, then the others. Gains fall with the
 * rank unless `wild`, are of few different values so that sums are often equal, and the last ones
 * are zero. */
static size_t draw_probes(mv_probe *probes, size_t tokens, size_t ranks, int wild) {
  uint32_t lists[MV_LANES_MAX][N_LISTS];
  size_t finding[MV_LANES_MAX], n = 0;
  for (size_t l = 0; l < tokens; l++) {
    finding[l] = (size_t)mv_random_below(&seed, ranks + 1);
    for (uint32_t c = 0; c < N_LISTS; c++) lists[l][c] = c;
    for (uint32_t c = N_LISTS; c-- > 1;) {
      const uint32_t other = (uint32_t)mv_random_below(&seed, c + 1), kept = lists[l][c];
      lists[l][c] = lists[l][other];
      lists[l][other] = kept;
    }
  }
  for (uint8_t finds = 2; finds-- > 0;) {
    for (size_t rank = 0; rank < ranks; rank++) {
      for (size_t l = 0; l < tokens; l++) {
        if ((rank < finding[l]) != finds) continue;
        const uint64_t step = wild ? mv_random_below(&seed, 9) : ranks - 1 - rank;
        probes[n++] = (mv_probe){lists[l][rank], (uint8_t)l, finds, (uint16_t)rank,
                                 (float)step * (l % 2 ? 0.125f : 0.0371f)};
      }
    }
  }
  return n;
}

/* Whether a document is in the list of a probe. */
static int is_in(const world *w, uint32_t s, uint32_t i, const mv_probe *probe) {
  return w->has[s][i * N_LISTS + probe->list];
}

/* How many documents are in as many lists of probes that find, or of any. They are noted if all is
 * given. */
static size_t model_find(const world *w, const uint8_t *chosen, const uint8_t *const *allowed,
                         const mv_probe *probes, size_t n, int by_any, size_t least, gained *all) {
  size_t found = 0;
  for (uint32_t s = 0; s < N_SEGMENTS; s++) {
    for (uint32_t i = 0; chosen[s] && i < w->n_documents[s]; i++) {
      if (allowed[s] != NULL && (allowed[s][i / 8] >> i % 8 & 1) == 0) continue;
      size_t lists = 0;
      for (size_t p = 0; p < n; p++) {
        lists += (size_t)((probes[p].finds || by_any) && is_in(w, s, i, &probes[p]));
      }
      found += lists >= least;
      if (all != NULL && lists >= least) all[w->first[s] + i].found = 1;
    }
  }
  return found;
}

/* Finds documents in two lists, in one, or in any; then for each token the gain of the first of its
 * probes that has the document. */
static void model_block(const world *w, const uint8_t *chosen, const uint8_t *const *allowed,
                        const mv_probe *probes, size_t n, size_t wanted, int wild, gained *all) {
  const int in_two = model_find(w, chosen, allowed, probes, n, 0, 2, NULL) / 4 >= wanted;
  const int in_one = model_find(w, chosen, allowed, probes, n, 0, 1, NULL) / 4 >= wanted;
  model_find(w, chosen, allowed, probes, n, !in_two && !in_one, in_two ? 2 : 1, all);
  for (uint32_t s = 0; s < N_SEGMENTS; s++) {
    for (uint32_t i = 0; chosen[s] && i < w->n_documents[s]; i++) {
      double first[MV_LANES_MAX], best[MV_LANES_MAX];
      for (size_t l = 0; l < MV_LANES_MAX; l++) first[l] = best[l] = -1;
      gained *one = &all[w->first[s] + i];
      if (!one->found) continue;
      for (size_t p = 0; p < n; p++) {
        const double gain = (double)probes[p].gain;
        if (!is_in(w, s, i, &probes[p])) continue;
        double *mine = &first[probes[p].token], *highest = &best[probes[p].token];
        if (*mine < 0) *mine = gain;
        if (gain > *highest) *highest = gain;
      }
      for (size_t l = 0; l < MV_LANES_MAX; l++) {
        const double gain = wild ? first[l] : best[l];
        if (gain >= 0) one->units += (uint64_t)floor(gain * 65536 + 0.5);
      }
    }
  }
}

static uint64_t model_postings(const world *w, const uint8_t *chosen, const mv_probe *probes,
                               size_t n) {
  uint64_t postings = 0;
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    for (size_t p = 0; chosen[s] && p < n; p++) {
      for (uint32_t i = 0; i < w->n_documents[s]; i++) {
        postings += w->has[s][i * N_LISTS + probes[p].list];
      }
    }
  }
  return postings;
}

static const world *ordered_world;
static const gained *ordered_gains;

/* The place's number in the model. */
static size_t number_of(mv_place place) {
  return ordered_world->first[place.segment] + place.document;
}

static int before(const void *x, const void *y) {
  const size_t a = *(const size_t *)x, b = *(const size_t *)y;
  const uint64_t gain_a = ordered_gains[a].units, gain_b = ordered_gains[b].units;
  if (gain_a != gain_b) return gain_a > gain_b ? -1 : 1;
  return a < b ? -1 : a > b;
}

/* The best `limit` are those of the model, and the best of these in front. */
static void check_best(const world *w, mv_query *query, const uint8_t *chosen, const gained *all,
                       size_t limit, size_t front) {
  const size_t n = w->first[N_SEGMENTS];
  size_t *order = room(n + 1, sizeof *order), *ranks = room(n + 1, sizeof *ranks);
  size_t found = 0, count = 99999;
  for (size_t i = 0; i < n; i++) {
    if (all[i].found) order[found++] = i;
  }
  ordered_world = w;
  ordered_gains = all;
  qsort(order, found, sizeof *order, before);
  for (size_t i = 0; i < n; i++) ranks[i] = SIZE_MAX;
  for (size_t i = 0; i < found; i++) ranks[order[i]] = i;
  const size_t kept = limit < found ? limit : found;
  mv_place *places = room(kept, sizeof *places);
  float *scores = room(kept, sizeof *scores);
  CHECK(mv_gather_best(query, w->views, N_SEGMENTS, chosen, limit, front, places, scores, &count) ==
            MV_OK,
        "limit %zu", limit);
  CHECK(count == kept, "limit %zu, %zu found: %zu", limit, found, count);
  for (size_t i = 0; i < kept && count == kept; i++) {
    MUST(places[i].segment < N_SEGMENTS);
    const size_t number = number_of(places[i]), rank = ranks[number];
    CHECK(rank < (i < front ? front : kept), "limit %zu, %zu found: %zu is the best but %zu", limit,
          found, i, rank);
    ranks[number] = SIZE_MAX; /* each once */
    CHECK(scores[i] == (float)all[number].units / 65536.0f, "%zu gains %g", number,
          (double)scores[i]);
  }
  free(order);
  free(ranks);
  free(places);
  free(scores);
}

static void check_limits(const world *w, mv_query *query, const uint8_t *chosen,
                         const gained *all) {
  static const size_t limits[] = {0, 1, 2, 10, 100, 333, 1000, SIZE_MAX};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    check_best(w, query, chosen, all, limits[i], limits[i] / 3);
  }
}

/* Finds the documents of a block, and adds all gains. */
static mv_status gather(const world *w, mv_query *query, const uint8_t *chosen,
                        const uint8_t *const *allowed, const mv_probe *probes, size_t n,
                        uint64_t *postings) {
  mv_status status = mv_gather_find(query, w->views, N_SEGMENTS, chosen, allowed, probes, n);
  if (status != MV_OK) return status;
  return mv_gather_add(query, w->views, N_SEGMENTS, chosen, 0, n, postings);
}

/* Two blocks of probes, read in parts. */
static void case_gather(const world *w, mv_query *query, const uint8_t *chosen,
                        const uint8_t *const *allowed, size_t tokens, size_t ranks, size_t wanted,
                        int wild) {
  mv_probe probes[MOST_PROBES];
  gained *all = room(w->first[N_SEGMENTS] + 1, sizeof *all);
  memset(all, 0, (w->first[N_SEGMENTS] + 1) * sizeof *all);
  CHECK(mv_gather_start(query, w->views, N_SEGMENTS, chosen, wanted) == MV_OK, "start");
  check_best(w, query, chosen, all, 10, 2);
  for (int block = 0; block < 2; block++) {
    const size_t n = draw_probes(probes, tokens, ranks, wild);
    uint64_t postings = 7;
    CHECK(mv_gather_find(query, w->views, N_SEGMENTS, chosen, allowed, probes, n) == MV_OK, "find");
    for (size_t at = 0; at < n;) {
      const size_t left = n - at, part = 1 + (size_t)mv_random_below(&seed, left);
      CHECK(mv_gather_add(query, w->views, N_SEGMENTS, chosen, at, at + part, &postings) == MV_OK,
            "%zu probes", part);
      at += part;
    }
    CHECK(postings == 7 + model_postings(w, chosen, probes, n), "postings");
    model_block(w, chosen, allowed, probes, n, wanted, wild, all);
    check_limits(w, query, chosen, all);
  }
  free(all);
}

static void cases_of(const world *w, mv_query *query) {
  static const uint8_t choices[][N_SEGMENTS] = {
      {1, 1, 1, 1}, {0, 1, 0, 1}, {0, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 1}};
  static const uint8_t *const none[N_SEGMENTS] = {NULL};
  static const size_t wanted[] = {0, 1, 20, 150, SIZE_MAX};
  for (size_t c = 0; c < sizeof choices / sizeof choices[0]; c++) {
    const uint8_t *some[N_SEGMENTS] = {w->bits[0], NULL, w->bits[2], w->bits[3]};
    for (size_t i = 0; i < 2 * sizeof wanted / sizeof wanted[0]; i++) {
      const int wild = i % 2;
      case_gather(w, query, choices[c], none, 1, 1, wanted[i / 2], wild);
      case_gather(w, query, choices[c], some, 3, 4, wanted[i / 2], wild);
      case_gather(w, query, choices[c], some, MV_LANES_MAX, 12, wanted[i / 2], wild);
      case_gather(w, query, choices[c], none, 16, 12, wanted[i / 2], wild);
    }
  }
}

/* What is not a lane is refused; a list that a segment has not is none. */
static void check_probes(const world *w, mv_query *query) {
  static const uint8_t chosen[N_SEGMENTS] = {1, 1, 1, 1};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  static const mv_probe wrong[] = {{0, MV_LANES_MAX, 1, 0, 1}},
                        absent[] = {{UINT32_MAX, 0, 1, 0, 1}};
  uint64_t postings = 0;
  size_t count;
  mv_place place;
  float score;
  MUST(mv_gather_start(query, w->views, N_SEGMENTS, chosen, 9) == MV_OK);
  CHECK(gather(w, query, chosen, allowed, wrong, 1, &postings) == MV_ERROR_ARGUMENT, "lane 32");
  CHECK(gather(w, query, chosen, allowed, absent, 1, &postings) == MV_OK, "a list beyond all");
  CHECK(mv_gather_best(query, w->views, N_SEGMENTS, chosen, 1, 1, &place, &score, &count) == MV_OK,
        "nothing");
  CHECK(postings == 0 && count == 0, "%zu found", count);
  CHECK(mv_gather_add(query, w->views, N_SEGMENTS, chosen, 0, 2, &postings) == MV_ERROR_ARGUMENT,
        "more probes than were found");
  CHECK(mv_gather_add(query, w->views, N_SEGMENTS, chosen, 1, 0, &postings) == MV_ERROR_ARGUMENT,
        "a range that ends before it begins");
  CHECK(
      gather(w, query, chosen, allowed, wrong, 1, &postings) == MV_ERROR_ARGUMENT &&
          mv_gather_add(query, w->views, N_SEGMENTS, chosen, 0, 1, &postings) == MV_ERROR_ARGUMENT,
      "probes that were refused");
  static const uint8_t fewer[N_SEGMENTS] = {1, 0, 1, 1};
  MUST(mv_gather_start(query, w->views, N_SEGMENTS, fewer, 9) == MV_OK);
  CHECK(
      mv_gather_find(query, w->views, N_SEGMENTS, chosen, allowed, absent, 1) == MV_ERROR_ARGUMENT,
      "more segments than it was started with");
  CHECK(mv_gather_add(query, w->views, N_SEGMENTS, chosen, 0, 0, &postings) == MV_ERROR_ARGUMENT,
        "more segments are read");
  CHECK(mv_gather_best(query, w->views, N_SEGMENTS, chosen, 1, 1, &place, &score, &count) ==
            MV_ERROR_ARGUMENT,
        "the best of more segments");
}

/* Lists that are corrupt are refused on the way, and what was gathered so far does not stay. */
static void check_corrupt(const world *w, mv_query *query) {
  static const uint8_t chosen[N_SEGMENTS] = {1, 0, 0, 1};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  const packing *lists = &w->lists[0];
  size_t refused = 0;
  for (size_t i = 0; i < lists->extent_sizes[0]; i++) {
    mv_probe probes[MOST_PROBES];
    const size_t n = draw_probes(probes, 3, 10, 0);
    uint64_t postings = 0;
    lists->extents[0][i] ^= 0x80;
    MUST(mv_gather_start(query, w->views, N_SEGMENTS, chosen, 9) == MV_OK);
    const mv_status status = gather(w, query, chosen, allowed, probes, n, &postings);
    CHECK(status == MV_OK || status == MV_ERROR_CORRUPT, "status %d", (int)status);
    refused += status == MV_ERROR_CORRUPT;
    lists->extents[0][i] ^= 0x80;
  }
  CHECK(refused > 10, "%zu changes were refused", refused);
  case_gather(w, query, chosen, allowed, 5, 5, 20, 0);
}

/* One query's memory serves worlds that are larger and smaller. */
static void test_gather(void) {
  static const uint32_t sizes[][N_SEGMENTS] = {
      {3, 1, 2, 9}, {900, 20, 64, 333}, {40, 1, 65, 130}, {1000, 70, 10, 400}};
  static const uint32_t lists[][N_SEGMENTS] = {
      {45, 45, 45, 45}, {45, 33, 16, 45}, {1, 2, 17, 45}, {20, 45, 45, 32}};
  mv_query *query;
  MUST(mv_query_new(&query) == MV_OK);
  for (size_t i = 0; i < 4; i++) {
    world w;
    world_build(&w, sizes[i], lists[i]);
    cases_of(&w, query);
    check_probes(&w, query);
    if (i % 2) check_corrupt(&w, query);
    world_free(&w);
  }
  mv_query_free(query);
}

/* Sums larger than the ranges they are counted by: thousands of tokens, all of one document. */
static void test_many_blocks(void) {
  enum { BLOCKS = 128 };
  static const uint32_t sizes[N_SEGMENTS] = {300, 1, 1, 1}, lists[N_SEGMENTS] = {45, 1, 1, 1};
  static const uint8_t chosen[N_SEGMENTS] = {1, 0, 0, 0};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  world w;
  mv_query *query;
  world_build(&w, sizes, lists);
  gained *all = room(w.first[N_SEGMENTS], sizeof *all);
  memset(all, 0, w.first[N_SEGMENTS] * sizeof *all);
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_gather_start(query, w.views, N_SEGMENTS, chosen, 9) == MV_OK);
  for (int block = 0; block < BLOCKS; block++) {
    mv_probe probes[MOST_PROBES];
    const size_t n = draw_probes(probes, MV_LANES_MAX, 3, 0);
    for (size_t i = 0; i < n; i++) probes[i].gain = probes[i].rank == 0 ? 12.0f : 0.5f;
    uint64_t postings = 0;
    MUST(gather(&w, query, chosen, allowed, probes, n, &postings) == MV_OK);
    model_block(&w, chosen, allowed, probes, n, 9, 0, all);
  }
  check_limits(&w, query, chosen, all);
  mv_query_free(query);
  free(all);
  world_free(&w);
}

int main(void) {
  test_gather();
  test_many_blocks();
  return checks_report();
}
