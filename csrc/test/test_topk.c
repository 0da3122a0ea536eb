/* The best of a stream, against counting the better ones. */
#include <string.h>

#include "../base/random.h"
#include "../ranking/topk.h"
#include "check.h"
#include "model.h"

static uint64_t seed = 67;

static size_t count_better(const float *scores, const mv_place *places, size_t n, size_t i) {
  size_t better = 0;
  for (size_t j = 0; j < n; j++) {
    better += (size_t)in_order(scores[j], places[j], scores[i], places[i]);
  }
  return better;
}

/* All of them at once, in place. */
static void check_order(const mv_place *places, const float *scores, size_t n) {
  mv_place *out = room(n, sizeof *out);
  float *out_scores = room(n, sizeof *out_scores);
  memcpy(out, places, n * sizeof *out);
  memcpy(out_scores, scores, n * sizeof *out_scores);
  uint64_t *scratch = room(2 * n, sizeof *scratch);
  mv_topk_order(out, out_scores, n, scratch);
  free(scratch);
  for (size_t i = 0; i < n; i++) {
    const size_t rank = count_better(scores, places, n, i);
    CHECK(out[rank].segment == places[i].segment && out[rank].document == places[i].document &&
              out_scores[rank] == scores[i],
          "%zu in order: rank %zu", n, rank);
  }
  free(out);
  free(out_scores);
}

/* Few different scores, so that most are ties; -0 and 0 are one. */
static void case_topk(size_t n, size_t limit) {
  const size_t kept = limit < n ? limit : n;
  mv_place *places = room(n, sizeof *places), *out = room(kept, sizeof *out);
  float *scores = room(n, sizeof *scores), *out_scores = room(kept, sizeof *out_scores);
  mv_topk top = {out, out_scores, limit, 0};
  for (size_t i = 0; i < n; i++) {
    const uint32_t number = (uint32_t)((i * 7919) % n); /* each once: 7919 is prime */
    places[i] = (mv_place){number % 3, number / 3};
    scores[i] = (float)mv_random_below(&seed, 4) * (mv_random_below(&seed, 2) ? 1.0f : -1.0f);
    mv_topk_offer(&top, places[i], scores[i]);
  }
  check_order(places, scores, n);
  mv_topk_sort(&top);
  CHECK(top.count == kept, "%zu of %zu: %zu", limit, n, top.count);
  for (size_t i = 0; i < n; i++) {
    const size_t rank = count_better(scores, places, n, i);
    if (rank >= kept) continue;
    CHECK(out[rank].segment == places[i].segment && out[rank].document == places[i].document,
          "%zu of %zu: rank %zu", limit, n, rank);
    CHECK(out_scores[rank] == scores[i], "%zu of %zu: rank %zu", limit, n, rank);
  }
  free(places);
  free(scores);
  free(out);
  free(out_scores);
}

static void test_topk(void) {
  mv_topk_order(NULL, NULL, 0, NULL);
  static const size_t counts[] = {1, 2, 3, 10, 100, 500};
  static const size_t limits[] = {0, 1, 2, 3, 7, 64, 499, 500, 501, SIZE_MAX};
  for (size_t i = 0; i < 6; i++) {
    for (size_t j = 0; j < 10; j++) case_topk(counts[i], limits[j]);
  }
}

int main(void) {
  test_topk();
  return checks_report();
}
