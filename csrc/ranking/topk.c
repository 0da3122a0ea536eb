#include "topk.h"

#include <string.h>

#include "keys.h"

enum { RANGES = 2048 };

/* Higher score, then earlier place: a total order, so that the order of offers does not matter. */
static int better(float score, mv_place place, float other_score, mv_place other) {
  if (score > other_score) return 1;
  if (score < other_score) return 0;
  return place.segment != other.segment ? place.segment < other.segment
                                        : place.document < other.document;
}

static void put(mv_topk *top, size_t at, mv_place place, float score) {
  top->places[at] = place;
  top->scores[at] = score;
}

/* Whether entry i is worse than a scored place. */
static int is_worse(const mv_topk *top, size_t i, mv_place place, float score) {
  return better(score, place, top->scores[i], top->places[i]);
}

/* Puts a scored place into the heap of the first `count` entries, from entry `at` on down. */
static void sift_down(mv_topk *top, size_t at, size_t count, mv_place place, float score) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && is_worse(top, child + 1, top->places[child], top->scores[child]))
      child++;
    if (!is_worse(top, child, place, score)) break;
    put(top, at, top->places[child], top->scores[child]);
    at = child;
  }
  put(top, at, place, score);
}

void mv_topk_offer(mv_topk *top, mv_place place, float score) {
  if (top->count < top->limit) {
    size_t at = top->count++;
    for (; at > 0 && better(top->scores[(at - 1) / 2], top->places[(at - 1) / 2], score, place);
         at = (at - 1) / 2) {
      put(top, at, top->places[(at - 1) / 2], top->scores[(at - 1) / 2]);
    }
    put(top, at, place, score);
  } else if (top->limit > 0 && is_worse(top, 0, place, score)) {
    sift_down(top, 0, top->count, place, score);
  }
}

void mv_topk_sort(mv_topk *top) {
  for (size_t left = top->count; left-- > 1;) {
    const mv_place place = top->places[left];
    const float score = top->scores[left];
    put(top, left, top->places[0], top->scores[0]);
    sift_down(top, 0, left, place, score);
  }
}

/* The bits of a score, so that integers are in the order of scores. */
static uint32_t bits_of(float score) {
  uint32_t bits;
  score += 0.0f; /* -0 equals 0 */
  memcpy(&bits, &score, sizeof bits);
  return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static float score_of(uint32_t bits) {
  float score;
  bits = bits >> 31 ? bits & ~((uint32_t)1 << 31) : ~bits;
  memcpy(&score, &bits, sizeof score);
  return score;
}

/* Greater for an earlier place. */
static uint64_t key_of_place(mv_place place) {
  return ~((uint64_t)place.segment << 32 | place.document);
}

static mv_place place_of(uint64_t key) {
  return (mv_place){(uint32_t)(~key >> 32), (uint32_t)~key};
}

void mv_topk_order(mv_place *places, float *scores, size_t n, uint64_t *scratch) {
  uint64_t *keys = scratch, *of = scratch + n;
  for (size_t i = 0; i < n; i++) {
    keys[i] = (uint64_t)bits_of(scores[i]) << 32 | i;
    of[i] = key_of_place(places[i]);
  }
  mv_keys_sort(keys, n);
  for (size_t i = 0, end = 0; i < n; i = end) {
    const uint32_t bits = (uint32_t)(keys[i] >> 32);
    for (; end < n && keys[end] >> 32 == bits; end++) {
      scores[end] = score_of(bits);
      keys[end] = of[(uint32_t)keys[end]];
    }
    mv_keys_sort(keys + i, end - i); /* those of one score, by place */
  }
  for (size_t i = 0; i < n; i++) places[i] = place_of(keys[i]);
}

/* By a histogram of RANGES ranges: the least value of the range of the `limit`-th greatest value.
 */
uint32_t mv_threshold(const uint32_t *values, size_t n, size_t limit) {
  uint32_t greatest = 0, counts[RANGES] = {0};
  for (size_t i = 0; i < n; i++) greatest = values[i] > greatest ? values[i] : greatest;
  unsigned shift = 0;
  while (greatest >> shift >= RANGES) shift++;
  for (size_t i = 0; i < n; i++) counts[values[i] >> shift]++;
  size_t kept = 0;
  uint32_t range = RANGES;
  while (range > 0 && kept < limit) kept += counts[--range];
  return range << shift;
}
