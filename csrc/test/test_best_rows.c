/* The best rows of each token, against counting the better ones. */
#include "../base/random.h"
#include "../search/best_rows.h"
#include "check.h"
#include "model.h"

static uint64_t seed = 71;

/* Rows of the token that come before a row: of a higher score, or of the same and a lower
 * number. */
static size_t rank_of(const int16_t *scores, size_t n, size_t lanes, size_t token, size_t row) {
  const int16_t own = scores[row * lanes + token];
  size_t before = 0;
  for (size_t i = 0; i < n; i++) {
    const int16_t score = scores[i * lanes + token];
    before += score > own || (score == own && i < row);
  }
  return before;
}

static void check_token(const mv_best_rows *best, const int16_t *scores, size_t n, size_t token) {
  const size_t kept = best->limit < n ? best->limit : n;
  const uint64_t *keys = best->keys + token * best->room;
  CHECK(best->count[token] == kept, "%zu of %zu: %zu", best->limit, n, best->count[token]);
  for (size_t row = 0; row < n; row++) {
    const size_t rank = rank_of(scores, n, best->lanes, token, row);
    if (rank >= kept) continue;
    CHECK(mv_key_row(keys[rank]) == row &&
              mv_key_score(keys[rank]) == scores[row * best->lanes + token],
          "%zu of %zu, rank %zu: row %u", best->limit, n, rank, mv_key_row(keys[rank]));
  }
}

/* distinct: different scores, few of them for ties. Rows are offered in pieces, the last first,
 * with or without a bound. */
static void case_best_of(size_t n, size_t limit, size_t tokens, uint32_t distinct, int bounded) {
  const size_t lanes = mv_lanes_for(tokens), piece = n / 3 + 1;
  int16_t *scores = room(n * lanes, sizeof *scores);
  for (size_t i = 0; i < n * lanes; i++) {
    const uint32_t drawn = (uint32_t)mv_random_below(&seed, distinct);
    scores[i] = (int16_t)(drawn == 0 ? INT16_MIN + 1 : INT16_MAX + 1 - (int)drawn);
  }
  mv_best_rows best;
  MUST(mv_best_rows_init(&best, tokens, lanes, limit) == MV_OK);
  if (bounded) mv_best_rows_bound(&best, scores, n);
  for (size_t first = (n / piece) * piece + piece; first >= piece;) {
    first -= piece;
    if (first >= n) continue;
    const size_t rows = n - first < piece ? n - first : piece;
    mv_best_rows_offer(&best, scores + first * lanes, (uint32_t)first, rows);
  }
  mv_best_rows_sort(&best);
  for (size_t token = 0; token < tokens; token++) check_token(&best, scores, n, token);
  mv_best_rows_free(&best);
  free(scores);
}

static void case_best(size_t n, size_t limit, size_t tokens, uint32_t distinct) {
  case_best_of(n, limit, tokens, distinct, 0);
  case_best_of(n, limit, tokens, distinct, 1);
}

/* A bound leaves hardly any rows to look at beyond the wanted ones. */
static void test_bound_skips_rows(void) {
  enum { N = 6000, LIMIT = 60, TOKENS = 5 };
  const size_t lanes = mv_lanes_for(TOKENS);
  int16_t *scores = room(N * lanes, sizeof *scores);
  mv_best_rows best;
  for (size_t i = 0; i < N * lanes; i++) scores[i] = (int16_t)mv_random_below(&seed, 30000);
  MUST(mv_best_rows_init(&best, TOKENS, lanes, LIMIT) == MV_OK);
  mv_best_rows_bound(&best, scores, N);
  for (size_t token = 0; token < TOKENS; token++) {
    size_t left = 0;
    for (size_t row = 0; row < N; row++) left += scores[row * lanes + token] > best.least[token];
    CHECK(left >= LIMIT && left < 2 * LIMIT, "%zu rows", left);
  }
  mv_best_rows_free(&best);
  free(scores);
}

int main(void) {
  test_bound_skips_rows();
  static const size_t limits[] = {1, 2, 17, 48, 130, 2000};
  static const uint32_t distinct[] = {1, 2, 7, 1000, 65535};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    for (size_t j = 0; j < sizeof distinct / sizeof distinct[0]; j++) {
      case_best(0, limits[i], 3, distinct[j]);
      case_best(1, limits[i], 1, distinct[j]);
      case_best(63, limits[i], 16, distinct[j]);
      case_best(700, limits[i], 5, distinct[j]);
      case_best(300, limits[i], MV_LANES_MAX, distinct[j]);
    }
  }
  return checks_report();
}
