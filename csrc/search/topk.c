#include "topk.h"

enum { RANGES = 2048 };

/* Higher score first, then the earlier place: a total order, so results do not depend on the order
 * of offers. */
static int better(float score, mv_place place, float other_score, mv_place other) {
  if (score != other_score) return score > other_score;
  if (place.segment != other.segment) return place.segment < other.segment;
  return place.document < other.document;
}

static int entry_better(const mv_topk *top, size_t i, size_t j) {
  return better(top->scores[i], top->places[i], top->scores[j], top->places[j]);
}

static void swap(mv_topk *top, size_t i, size_t j) {
  mv_place place = top->places[i];
  float score = top->scores[i];
  top->places[i] = top->places[j];
  top->scores[i] = top->scores[j];
  top->places[j] = place;
  top->scores[j] = score;
}

static void sift_down(mv_topk *top, size_t at, size_t count) {
  for (;;) {
    size_t worst = at, left = 2 * at + 1, right = left + 1;
    if (left < count && entry_better(top, worst, left)) worst = left;
    if (right < count && entry_better(top, worst, right)) worst = right;
    if (worst == at) return;
    swap(top, at, worst);
    at = worst;
  }
}

void mv_topk_offer(mv_topk *top, mv_place place, float score) {
  if (top->count < top->limit) {
    size_t at = top->count++;
    top->places[at] = place;
    top->scores[at] = score;
    while (at > 0 && entry_better(top, (at - 1) / 2, at)) {
      swap(top, at, (at - 1) / 2);
      at = (at - 1) / 2;
    }
  } else if (top->limit > 0 && better(score, place, top->scores[0], top->places[0])) {
    top->places[0] = place;
    top->scores[0] = score;
    sift_down(top, 0, top->count);
  }
}

void mv_topk_sort(mv_topk *top) {
  for (size_t left = top->count; left > 1; left--) {
    swap(top, 0, left - 1);
    sift_down(top, 0, left - 1);
  }
}

void mv_topk_order(mv_place *places, float *scores, size_t n) {
  mv_topk all = {places, scores, n, n};
  for (size_t at = n / 2; at-- > 0;) sift_down(&all, at, n);
  mv_topk_sort(&all);
}

/* Counted by ranges of values, so that only those in one range too many have to be sorted out. */
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
