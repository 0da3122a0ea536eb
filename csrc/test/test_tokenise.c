/* Terms of texts: what each rule of lexical/tokenise.h makes of an example, where terms stand, and
 * that any bytes are read inside their bounds and come out well formed. */
#include <string.h>

#include "../base/random.h"
#include "../lexical/tokenise.h"
#include "check.h"
#include "model.h"

static uint64_t seed = 71;

enum { LONGEST = 1 << 12 };

/* Tokens as words behind the letter of their kind: "W:the I:e1234 P:1234". */
typedef struct listing {
  char text[LONGEST];
  size_t n, tokens;
} listing;

static mv_status list(void *context, const mv_token *token) {
  listing *out = context;
  MUST(out->n + token->size + 4 < sizeof out->text && token->size > 0);
  if (out->n > 0) out->text[out->n++] = ' ';
  out->text[out->n++] = "WIPB"[token->kind];
  out->text[out->n++] = ':';
  memcpy(out->text + out->n, token->term, token->size);
  out->n += token->size;
  out->text[out->n] = 0;
  out->tokens++;
  return MV_OK;
}

static void expect(const char *text, const char *expected) {
  listing out = {.n = 0};
  const size_t size = strlen(text);
  char *exact = room(size > 0 ? size : 1, 1); /* of exact size, for the sanitiser */
  memcpy(exact, text, size);
  CHECK(mv_tokenise((const uint8_t *)exact, size, list, &out) == MV_OK, "%s", text);
  CHECK(strcmp(out.text, expected) == 0, "%s: %s", text, out.text);
  free(exact);
}

static void test_words(void) {
  expect("", "");
  expect(" .,-'/@:&+#_ __ ", "");
  expect("The cat, the CAT.", "W:the W:cat W:the W:cat");
  expect("a", "W:a");
  expect("well-known dog's and/or",
         "W:well-known P:well P:known W:dog's P:dog W:and/or P:and P:or");
  expect("O'Brien don't", "W:o'brien P:o P:brien W:don't P:don");
  expect("e.g. the U.S.", "W:e.g P:e P:g W:the W:u.s P:u P:s");
  expect("NASA PDFs", "W:nasa W:pdfs");
  expect("\xC3\xA9t\xC3\xA9 (na\xC3\xAFve)", "W:\xC3\xA9t\xC3\xA9 W:na\xC3\xAFve");
  expect("\xD0\xBC\xD0\xB8\xD1\x80", "W:\xD0\xBC\xD0\xB8\xD1\x80");
}

static void test_identifiers(void) {
  expect("parse_http2Response",
         "I:parse_http2response P:parse P:http2response P:http2 P:http P:response");
  expect("Error E1234!", "W:error I:e1234 P:1234");
  expect("foo.bar.", "I:foo.bar P:foo P:bar");
  expect("C++ C# F# g++", "I:c++ P:c I:c# P:c I:f# P:f I:g++ P:g");
  expect("C++11 foo#bar a+b i++", "I:c++ P:c I:11 W:foo W:bar W:a W:b I:i++ P:i");
  expect("INV-2026-00691", "I:inv-2026-00691 P:inv P:2026 P:00691");
  expect("v1.2.3 1,000 12:30", "I:v1.2.3 P:v1 P:2 P:3 I:1,000 P:1 P:000 I:12:30 P:12 P:30");
  expect("a.b@c.org", "I:a.b@c.org P:a P:b P:c P:org");
  expect("usr/lib/bin", "I:usr/lib/bin P:usr P:lib P:bin");
  expect("/src/main/x.c", "I:src/main/x.c P:src P:main P:x P:c");
  expect("std::vector key:value AT&T a&b",
         "I:std::vector P:std P:vector W:key W:value I:at&t P:at P:t W:a W:b");
  expect("HTTPServer iPhone McDonald",
         "I:httpserver P:http P:server I:iphone P:phone I:mcdonald "
         "P:mc P:donald");
  expect("__init__ _private", "I:__init__ P:init I:_private P:private");
  expect("10km 2nd x1y2", "I:10km P:10 P:km I:2nd P:nd I:x1y2");
  expect("1990-1995 a1,b", "I:1990-1995 P:1990 P:1995 I:a1 W:b");
}

#define TOKYO "\xE6\x9D\xB1\xE4\xBA\xAC"
#define TO "\xE9\x83\xBD"

static void test_unspaced(void) {
  expect(TOKYO, "B:" TOKYO);
  expect(TO "1", "B:" TO " I:1");
  expect("a" TOKYO TO "b", "W:a B:" TOKYO " B:\xE4\xBA\xAC" TO " W:b");
}

/* A word of n bytes is cut to the limit, between characters; its range is not. */
static void test_long(void) {
  for (size_t n = MV_MAX_TERM - 3; n < MV_MAX_TERM + 4; n++) {
    for (size_t width = 1; width < 3; width++) {
      uint8_t text[2 * MV_MAX_TERM];
      mv_token_range token;
      size_t count = 0;
      memset(text, 'x', sizeof text);
      for (size_t i = 1; width == 2 && i + 1 < sizeof text; i += 2) {
        memcpy(text + i, "\xC3\xA9", 2);
      }
      const size_t size = width == 1 ? n : 1 + 2 * (n / 2);
      const size_t kept = size <= MV_MAX_TERM ? size : width == 1 ? MV_MAX_TERM : MV_MAX_TERM - 1;
      CHECK(mv_tokens(text, size, &token, 1, &count) == MV_OK && count == 1, "%zu", n);
      CHECK(token.size == kept && token.first == 0 && token.last == size, "%zu: %u", n, token.size);
    }
  }
  /* Nothing is joined behind the limit, so that no text is one run. */
  uint8_t numbers[1000];
  for (size_t i = 0; i < sizeof numbers; i++) numbers[i] = i % 2 ? ',' : '7';
  listing out = {.n = 0};
  CHECK(mv_tokenise(numbers, sizeof numbers, list, &out) == MV_OK && out.tokens > 500, "%zu",
        out.tokens);
}

static mv_status refuse(void *context, const mv_token *token) {
  size_t *left = context;
  (void)token;
  return (*left)-- == 0 ? MV_ERROR_MEMORY : MV_OK;
}

static void test_refusal(void) {
  static const uint8_t text[] = "plain a_b2c 12:30 " TOKYO TO;
  mv_token_range tokens[100];
  size_t n = 0;
  CHECK(mv_tokens(text, sizeof text - 1, tokens, 100, &n) == MV_OK && n > 8, "%zu", n);
  for (size_t i = 0; i <= n; i++) {
    size_t left = i;
    const mv_status expected = i < n ? MV_ERROR_MEMORY : MV_OK;
    CHECK(mv_tokenise(text, sizeof text - 1, refuse, &left) == expected, "token %zu", i);
  }
  size_t count = 0;
  CHECK(mv_tokens(text, sizeof text - 1, tokens, 3, &count) == MV_OK && count == n, "%zu", count);
  CHECK(sizeof(size_t) == 4 ||
            mv_tokens(text, (size_t)1 << 32, tokens, 1, &count) == MV_ERROR_ARGUMENT,
        "4 GiB");
}

/* Bytes that are no UTF-8 separate, whatever they are cut from. */
static void test_broken(void) {
  expect("ab\xC3", "W:ab");
  expect("ab\xE6\x9D", "W:ab");
  expect(
      "ab\xFF"
      "cd",
      "W:ab W:cd");
  expect(
      "ab\xC1\xA1"
      "cd",
      "W:ab W:cd"); /* an overlong a */
  expect(
      "ab\xE0\x81\xA1"
      "cd",
      "W:ab W:cd"); /* the same in three */
  expect(
      "ab\xED\xA0\x80"
      "cd",
      "W:ab W:cd"); /* a surrogate */
  expect(
      "ab\xF4\x90\x80\x80"
      "cd",
      "W:ab W:cd"); /* beyond Unicode */
  expect(
      "ab\xA9"
      "cd",
      "W:ab W:cd");
}

static mv_status check_token(void *context, const mv_token *token) {
  const size_t size = *(const size_t *)context;
  CHECK(token->first < token->last && token->last <= size, "%u..%u of %zu", token->first,
        token->last, size);
  CHECK(token->size > 0 && token->size <= MV_MAX_TERM && token->size <= token->last - token->first,
        "%u bytes", token->size);
  CHECK(!(token->term[0] >= 0x80 && token->term[0] < 0xC0), "begins inside a character");
  return MV_OK;
}

/* Texts of the characters that the rules know, and of any bytes. */
static void test_random(void) {
  static const char known[] = "aabzAZ09__..--''/@::,&++## \xC3\xA9\xE6\x9D\xB1\xD0\xBC";
  for (int round = 0; round < 20000; round++) {
    size_t size = (size_t)mv_random_below(&seed, 200);
    uint8_t *text = room(size + (size == 0), 1);
    for (size_t i = 0; i < size; i++) {
      text[i] = round % 4 == 0 ? (uint8_t)mv_random_next(&seed)
                               : (uint8_t)known[mv_random_below(&seed, sizeof known - 1)];
    }
    CHECK(mv_tokenise(text, size, check_token, &size) == MV_OK, "round %d", round);
    free(text);
  }
}

int main(void) {
  test_words();
  test_identifiers();
  test_unspaced();
  test_long();
  test_refusal();
  test_broken();
  test_random();
  return checks_report();
}
