/* Phrases in texts: examples, overlapping occurrences, and random texts of few words against a
 * comparison at every place; memory that runs out. */
#include <string.h>

#include "../base/alloc.h"
#include "../base/random.h"
#include "../lexical/terms.h"
#include "check.h"
#include "model.h"

enum { LONGEST = 64, WORDS = 8, TEXTS = 3 };

static uint64_t seed = 83;

/* Words parted by spaces, as the core takes them. */
typedef struct phrase {
  char bytes[LONGEST];
  uint32_t starts[WORDS + 1];
  mv_term_names names;
} phrase;

static void make(phrase *out, const char *words) {
  uint32_t n = 0, end = 0;
  for (const char *p = words; *p; p++) {
    if (p == words || p[-1] == ' ') out->starts[n++] = end;
    if (*p != ' ') out->bytes[end++] = *p;
  }
  out->starts[n] = end;
  out->names = (mv_term_names){(const uint8_t *)out->bytes, out->starts, n};
}

static uint32_t count(const char *words, const char *text) {
  phrase wanted;
  make(&wanted, words);
  const size_t size = strlen(text);
  uint8_t *exact = room(size > 0 ? size : 1, 1); /* of exact size, for the sanitiser */
  memcpy(exact, text, size);
  const uint8_t *const texts[] = {exact};
  uint32_t found = 77;
  CHECK(mv_phrase_counts(&wanted.names, texts, &size, 1, &found) == MV_OK, "%s", words);
  free(exact);
  return found;
}

static void expect(const char *words, const char *text, uint32_t expected) {
  const uint32_t found = count(words, text);
  CHECK(found == expected, "%s in %s: %u", words, text, found);
}

static void test_examples(void) {
  expect("too large", "Error: too large, TOO Large! too; large", 3);
  expect("too large", "", 0);
  expect("too large", "large too", 0);
  expect("too large", "too very large", 0);
  expect("a", "a b a", 2);
  expect("a a", "a a a a", 3);
  expect("a b a", "a b a b a", 2);
  expect("a a b", "a a a b", 1);
  expect("foo bar", "foo.bar foo bar foo-bar", 1); /* parts of identifiers do not count */
  expect("parse_http2response x", "parse_http2Response x", 1);
}

static void test_random(void) {
  for (int round = 0; round < 20000; round++) {
    char text[LONGEST], words[LONGEST];
    const size_t n = mv_random_next(&seed) % 25, m = 1 + mv_random_next(&seed) % 5;
    for (size_t i = 0; i < n; i++) memcpy(text + 2 * i, mv_random_next(&seed) % 3 ? "a " : "b ", 2);
    for (size_t i = 0; i < m; i++)
      memcpy(words + 2 * i, mv_random_next(&seed) % 3 ? "a " : "b ", 2);
    text[2 * n] = 0;
    words[2 * m - 1] = 0;
    uint32_t expected = 0;
    for (size_t at = 0; at + m <= n; at++) expected += memcmp(text + 2 * at, words, 2 * m - 1) == 0;
    expect(words, text, expected);
  }
}

static void test_several_texts(void) {
  phrase wanted;
  make(&wanted, "a b");
  const char *const own[TEXTS] = {"a b", "a", "b a b"};
  const uint8_t *texts[TEXTS];
  size_t sizes[TEXTS];
  for (int i = 0; i < TEXTS; i++) texts[i] = (const uint8_t *)own[i], sizes[i] = strlen(own[i]);
  uint32_t counts[TEXTS];
  CHECK(mv_phrase_counts(&wanted.names, texts, sizes, TEXTS, counts) == MV_OK, "texts");
  /* No text begins with the end of the one before. */
  CHECK(counts[0] == 1 && counts[1] == 0 && counts[2] == 1, "counts");
  CHECK(mv_phrase_counts(&wanted.names, NULL, NULL, 0, NULL) == MV_OK, "no text");
  wanted.names.n = 0;
  CHECK(mv_phrase_counts(&wanted.names, texts, sizes, 1, counts) == MV_ERROR_ARGUMENT, "no word");
}

static void *no_memory(void *pointer, size_t size) {
  (void)pointer, (void)size;
  return NULL;
}

static void test_memory(void) {
  phrase wanted;
  make(&wanted, "a b");
  const uint8_t *const texts[] = {(const uint8_t *)"a b"};
  const size_t size = 3;
  uint32_t found;
  mv_alloc_set_hook(no_memory);
  CHECK(mv_phrase_counts(&wanted.names, texts, &size, 1, &found) == MV_ERROR_MEMORY, "memory");
  mv_alloc_set_hook(NULL);
}

int main(void) {
  test_examples();
  test_random();
  test_several_texts();
  test_memory();
  return checks_report();
}
