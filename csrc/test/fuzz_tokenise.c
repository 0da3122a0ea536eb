/* Any bytes as a text: tokens stand inside it, in order, each the begin of its range in lower case,
 * and there are few of them. */
#include <stdlib.h>
#include <string.h>

#include "../lexical/tokenise.h"
#include "fuzz_input.h"

typedef struct seen {
  const uint8_t *text;
  size_t size, tokens;
  uint32_t whole_first, whole_last;
} seen;

static mv_status look(void *context, const mv_token *token) {
  seen *so_far = context;
  MUST(token->first < token->last && token->last <= so_far->size);
  MUST(token->size > 0 && token->size <= MV_MAX_TERM);
  MUST(token->size == token->last - token->first || token->last - token->first > MV_MAX_TERM);
  for (uint32_t i = 0; i < token->size; i++) {
    const uint8_t byte = so_far->text[token->first + i];
    MUST(token->term[i] == (byte >= 'A' && byte <= 'Z' ? byte + 32 : byte));
  }
  if (token->kind == MV_TOKEN_PART) {
    MUST(token->first >= so_far->whole_first && token->last <= so_far->whole_last);
  } else {
    MUST(token->kind <= MV_TOKEN_BIGRAM && token->last > so_far->whole_last);
    MUST(token->kind == MV_TOKEN_BIGRAM || token->first >= so_far->whole_last);
    so_far->whole_first = token->first;
    so_far->whole_last = token->last;
  }
  so_far->tokens++;
  return MV_OK;
}

/* The bytes themselves, or the characters that the rules know chosen by them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const known[] = {"a",
                                      "b",
                                      "Z",
                                      "A",
                                      "0",
                                      "9",
                                      "_",
                                      ".",
                                      "-",
                                      "'",
                                      "/",
                                      "@",
                                      ":",
                                      ",",
                                      "&",
                                      "+",
                                      "#",
                                      " ",
                                      "\xC3\xA9",
                                      "\xE6\x9D\xB1",
                                      "\xF0\xA0\x80\x80",
                                      "\xED\xA0"};
  enum { KNOWN = sizeof known / sizeof known[0] };
  input in = {data, size};
  const int any = take(&in, 1) & 1;
  uint8_t *text = room(4 * in.left + 1, 1);
  size_t n = 0;
  while (in.left > 0) {
    const uint8_t byte = (uint8_t)take(&in, 1);
    const char *next = known[byte % KNOWN];
    const size_t bytes = any ? 1 : strlen(next);
    memcpy(text + n, any ? (const void *)&byte : (const void *)next, bytes);
    n += bytes;
  }
  uint8_t *exact = room(n + (n == 0), 1);
  memcpy(exact, text, n);
  seen so_far = {exact, n, 0, 0, 0};
  size_t count = 0;
  MUST(mv_tokenise(exact, n, look, &so_far) == MV_OK);
  MUST(mv_tokens(exact, n, NULL, 0, &count) == MV_OK && count == so_far.tokens);
  MUST(count <= 5 * n);
  free(exact);
  free(text);
  return 0;
}
