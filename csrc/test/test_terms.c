/* Term indexes: runs and blocks come back as they were written; wrong bytes and arrays are refused;
 * the best rows are those with the highest scores. */
#include <stdlib.h>
#include <string.h>

#include "../base/random.h"
#include "../lexical/posting_run.h"
#include "../lexical/term_block.h"
#include "check.h"
#include "termed.h"

static uint64_t seed = 5;

/* ---- runs ---- */

/* Writes a run into a block of exact size, and reads it. */
static void check_run(uint32_t next, const uint32_t *rows, const uint16_t *values, uint32_t n,
                      uint32_t n_rows) {
  uint8_t written[MV_RUN_BYTES];
  uint32_t read_rows[MV_TERMS_RUN];
  uint16_t read_values[MV_TERMS_RUN];
  const size_t size = mv_run_write(written, next, rows, values, n);
  MUST(size <= MV_RUN_BYTES);
  uint8_t *bytes = room(size + MV_TERMS_SLACK, 1);
  memcpy(bytes, written, size);
  memset(bytes + size, 0xee, MV_TERMS_SLACK);
  CHECK(mv_run_read(bytes, size, n, next, n_rows, read_rows, read_values) == MV_OK, "%u", n);
  CHECK(memcmp(rows, read_rows, n * sizeof *rows) == 0, "rows of %u", n);
  CHECK(memcmp(values, read_values, n * sizeof *values) == 0, "values of %u", n);
  CHECK(mv_run_read(bytes, size, n, next, rows[n - 1], read_rows, read_values) == MV_ERROR_CORRUPT,
        "a row too many");
  for (size_t cut = 0; cut <= size + 1; cut++) {
    if (cut == size) continue;
    CHECK(mv_run_read(bytes, cut, n, next, n_rows, read_rows, read_values) == MV_ERROR_CORRUPT,
          "%zu bytes of %zu", cut, size);
  }
  free(bytes);
}

static void test_runs(void) {
  for (uint32_t n = 1; n <= MV_TERMS_RUN; n += n < 5 ? 1 : 41) {
    for (uint64_t spread = 1; spread <= UINT32_MAX / n; spread *= 7) {
      uint32_t rows[MV_TERMS_RUN], row = (uint32_t)mv_random_below(&seed, 3);
      uint16_t values[MV_TERMS_RUN];
      const uint32_t first = row, most = 1 + (uint32_t)mv_random_below(&seed, 1 << (spread % 16));
      for (uint32_t i = 0; i < n; i++) {
        row += (uint32_t)mv_random_below(&seed, spread);
        rows[i] = row++;
        values[i] = (uint16_t)(1 + mv_random_below(&seed, most));
      }
      check_run(first, rows, values, n, row);
    }
  }
  const uint32_t ends[] = {0, UINT32_MAX - 2};
  const uint16_t extremes[] = {1, UINT16_MAX};
  check_run(0, ends, extremes, 2, UINT32_MAX - 1);
  check_run(ends[1], ends + 1, extremes + 1, 1, UINT32_MAX - 1);
}

/* Made-up runs of one posting in an index of 1000 rows. */
#define REFUSE(what, ...)                                                                          \
  do {                                                                                             \
    static const uint8_t bytes_[] = {__VA_ARGS__, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee}; \
    uint32_t rows_[MV_TERMS_RUN];                                                                  \
    uint16_t values_[MV_TERMS_RUN];                                                                \
    CHECK(mv_run_read(bytes_, sizeof bytes_ - 8, 1, 0, 1000, rows_, values_) == MV_ERROR_CORRUPT,  \
          what);                                                                                   \
  } while (0)

static void test_wrong_runs(void) {
  uint32_t rows[MV_TERMS_RUN];
  uint16_t values[MV_TERMS_RUN];
  static const uint8_t good[] = {3 | 64, 5, 1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK(mv_run_read(good, 6, 1, 10, 1000, rows, values) == MV_OK, "a good one");
  CHECK(rows[0] == 15 && values[0] == 4, "row %u, value %u", rows[0], values[0]);
  REFUSE("a width beyond 32", 33, 0, 0, 0, 0, 0, 1);
  REFUSE("a form that is not known", 128, 1);
  REFUSE("no end of a high part", 0, 0);
  REFUSE("a row beyond the last", 10, 0xff, 3, 1);
  REFUSE("bytes left", 0, 1, 0);
  REFUSE("no least value", 64, 1);
  REFUSE("a least value of 0", 64, 1, 0, 0, 1);
  REFUSE("a least value without an end", 64, 1, 0x80);
  REFUSE("no width of rests", 64, 1, 2);
  REFUSE("a width of rests beyond 16", 64, 1, 1, 17, 0, 0, 0, 1);
  for (size_t size = 1; size < 80; size++) { /* a number without an end, however far it is read */
    uint8_t *zeros = room(size + MV_TERMS_SLACK, 1);
    memset(zeros, 0, size + MV_TERMS_SLACK);
    CHECK(mv_run_read(zeros, size, 1, 0, 1000, rows, values) == MV_ERROR_CORRUPT, "%zu", size);
    free(zeros);
  }
  REFUSE("a value beyond 65535", 64, 1, 2, 16, 0xff, 0xff, 1);
  REFUSE("a least value beyond 65535", 64, 1, 0x80, 0x80, 4, 0, 1);
}

/* ---- indexes ---- */

enum { TEXTS = 1500, WORDS = 300 };

/* Whether a text has a word. */
static int has_word(const char *text, const uint8_t *word, size_t size) {
  char wanted[MV_MAX_TERM + 2];
  memcpy(wanted, word, size);
  wanted[size] = ' ';
  wanted[size + 1] = 0;
  const char *at = strstr(text, wanted);
  for (; at != NULL; at = strstr(at + 1, wanted)) {
    if (at == text || at[-1] == ' ') return 1;
  }
  return 0;
}

static void check_terms(const termed *index, char *const *texts, size_t n) {
  uint8_t names[MV_TERMS_BLOCK][MV_MAX_TERM], sizes[MV_TERMS_BLOCK], *has = room(n, 1);
  uint32_t counts[MV_TERMS_BLOCK];
  for (uint32_t block = 0; block < index->view.n_blocks; block++) {
    size_t n_terms;
    CHECK(mv_terms_check_block(&index->view, block) == MV_OK, "block %u", block);
    MUST(mv_terms_list(&index->view, block, names[0], sizes, counts, &n_terms) == MV_OK);
    for (size_t t = 0; t < n_terms; t++) {
      const uint32_t starts[] = {0, sizes[t]};
      const mv_term_names name = {names[t], starts, 1};
      uint32_t frequency, with_word = 0, wrong = 0;
      MUST(mv_terms_frequencies(&index->view, &name, &frequency) == MV_OK);
      MUST(mv_terms_containing(&index->view, &name, has) == MV_OK);
      for (size_t i = 0; i < n; i++) {
        const int expected = has_word(texts[i], names[t], sizes[t]);
        with_word += (uint32_t)expected;
        wrong += has[i] != expected;
      }
      CHECK(wrong == 0 && frequency == with_word && counts[t] == with_word, "%u rows", frequency);
    }
  }
  free(has);
}

/* The three words of a query. */
static const uint8_t query_bytes[] = "wawbwcc";
static const uint32_t query_starts[] = {0, 2, 4, 7};
static const float query_weights[] = {0.5F, 1.5F, 4};
static const mv_term_query three = {{query_bytes, query_starts, 3}, query_weights, 1.2F, .75F, 9};

/* The best rows of two indexes are the best of all scores. */
static void check_best(const mv_terms *const *terms, const uint8_t *const *allowed, size_t limit) {
  const size_t n = (size_t)terms[0]->n_rows + terms[1]->n_rows;
  mv_place *all = room(n, sizeof *all), *best = room(limit, sizeof *best);
  float *scores = room(n, sizeof *scores), *found = room(limit, sizeof *found);
  size_t count, kept = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t second = i >= terms[0]->n_rows;
    all[i] = (mv_place){second, (uint32_t)(i - (second ? terms[0]->n_rows : 0))};
  }
  MUST(mv_terms_score(terms, 2, &three, all, n, scores) == MV_OK);
  MUST(mv_terms_best(terms, 2, &three, allowed, limit, best, found, &count) == MV_OK);
  for (size_t i = 0; i < n; i++) {
    const uint8_t *map = allowed[all[i].segment];
    const uint32_t row = all[i].document;
    if (scores[i] > 0 && (map == NULL || (map[row / 8] >> row % 8 & 1))) {
      all[kept] = all[i];
      scores[kept++] = scores[i];
    }
  }
  CHECK(count == (kept < limit ? kept : limit), "%zu of %zu", count, kept);
  for (size_t i = 0; i < count; i++) {
    size_t better = 0, at = n;
    for (size_t j = 0; j < kept; j++) {
      if (memcmp(&all[j], &best[i], sizeof best[i]) == 0)
        at = j;
      else
        better += (size_t)in_order(scores[j], all[j], found[i], best[i]);
    }
    CHECK(at < n && better == i, "%zu better than rank %zu", better, i);
    CHECK(at < n && memcmp(&scores[at], &found[i], sizeof(float)) == 0, "the score of rank %zu", i);
  }
  free(all);
  free(best);
  free(scores);
  free(found);
}

static void test_indexes(void) {
  char **texts = texts_draw(&seed, TEXTS, WORDS, 20), **others = texts_draw(&seed, 40, WORDS, 5);
  termed index, second;
  termed_of_texts(&index, texts, TEXTS);
  termed_of_texts(&second, others, 40);
  CHECK(mv_terms_check(&index.view, &index.sizes) == MV_OK, "the view");
  check_terms(&index, texts, TEXTS);
  check_terms(&second, others, 40);
  const mv_terms *const terms[] = {&index.view, &second.view};
  uint8_t *map = room(TEXTS / 8 + 1, 1);
  for (size_t i = 0; i <= TEXTS / 8; i++) map[i] = (uint8_t)mv_random_next(&seed);
  const uint8_t *const all[] = {NULL, NULL}, *const some[] = {map, NULL};
  static const size_t limits[] = {1, 10, 100, TEXTS + 40};
  for (size_t i = 0; i < 4; i++) {
    check_best(terms, all, limits[i]);
    check_best(terms, some, limits[i]);
  }
  free(map);
  termed_free(&index);
  termed_free(&second);
  texts_free(texts, TEXTS);
  texts_free(others, 40);
}

/* ---- merging ---- */

/* Merges two indexes, of which rows are dropped; it equals the index of the rows that are left. */
static void test_merging(void) {
  enum { FIRST = 900, SECOND = 300 };
  char **texts = texts_draw(&seed, FIRST + SECOND, WORDS, 12), *left[FIRST + SECOND];
  uint32_t map[FIRST + SECOND], n = 0;
  uint16_t lengths[FIRST + SECOND];
  termed a, b, merged, expected;
  termed_of_texts(&a, texts, FIRST);
  termed_of_texts(&b, texts + FIRST, SECOND);
  for (uint32_t i = 0; i < FIRST + SECOND; i++) {
    map[i] = (uint32_t)MV_NO_ROW;
    if (mv_random_below(&seed, 3) == 0) continue;
    map[i] = n;
    left[n] = texts[i];
    lengths[n++] = i < FIRST ? a.lengths[i] : b.lengths[i - FIRST];
  }
  termed_of_texts(&expected, left, n);
  const mv_terms *const terms[] = {&a.view, &b.view};
  const uint32_t *const maps[] = {map, map + FIRST};
  mv_term_merge *merge;
  mv_term_blocks blocks;
  termed_parts parts;
  termed_begin(&parts);
  MUST(mv_term_merge_new(terms, maps, 2, lengths, n, &merge) == MV_OK);
  for (;;) {
    MUST(mv_term_merge_step(merge, 500, &blocks) == MV_OK);
    if (blocks.n == 0) break;
    termed_append(&parts, &blocks);
  }
  termed_end(&merged, &parts, lengths, n);
  CHECK(merged.view.n_blocks == expected.view.n_blocks, "%u blocks", merged.view.n_blocks);
  for (uint32_t e = 0; e < merged.view.n_extents; e++)
    CHECK(memcmp(merged.extents[e], expected.extents[e], expected.extent_sizes[e]) == 0, "%u", e);
  mv_term_merge_free(merge);
  const uint32_t *const same[] = {map, map};
  MUST(mv_term_merge_new(terms, same, 2, lengths, n, &merge) == MV_OK);
  CHECK(mv_term_merge_step(merge, SIZE_MAX, &blocks) == MV_ERROR_ARGUMENT, "rows go back");
  mv_term_merge_free(merge);
  CHECK(mv_term_merge_new(terms, maps, 2, NULL, n, &merge) == MV_ERROR_ARGUMENT, "no lengths");
  termed_free(&a);
  termed_free(&b);
  termed_free(&merged);
  termed_free(&expected);
  texts_free(texts, FIRST + SECOND);
}

int main(void) {
  test_runs();
  test_wrong_runs();
  test_indexes();
  test_merging();
  return checks_report();
}
