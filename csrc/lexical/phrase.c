/* Phrases in texts: term indexes keep no positions, so the texts decide.
 *
 * Knuth, Morris and Pratt over the tokens of a text, without parts: `matched` words of the phrase
 * end at the last token; at another token the longest shorter beginning is tried that ends there
 * too (`shorter`). Each token is looked at a bounded number of times on average. */
#include <string.h>

#include "../base/alloc.h"
#include "terms.h"
#include "tokenise.h"

typedef struct phrase_search {
  const mv_term_names *words;
  const uint32_t *shorter; /* [words->n]: see the top, for matched words 1 .. n */
  size_t matched;
  uint32_t count;
} phrase_search;

static int is_word(const mv_term_names *words, size_t i, const uint8_t *term, size_t size) {
  const uint32_t first = words->starts[i];
  return words->starts[i + 1] - first == size && memcmp(words->bytes + first, term, size) == 0;
}

static mv_status take(void *context, const mv_token *token) {
  phrase_search *search = context;
  if (token->kind == MV_TOKEN_PART) return MV_OK;
  while (search->matched > 0 && !is_word(search->words, search->matched, token->term, token->size))
    search->matched = search->shorter[search->matched - 1];
  if (is_word(search->words, search->matched, token->term, token->size)) search->matched++;
  if (search->matched == search->words->n) {
    search->count++;
    search->matched = search->shorter[search->matched - 1];
  }
  return MV_OK;
}

static void find_shorter(const mv_term_names *words, uint32_t *shorter) {
  uint32_t matched = 0;
  shorter[0] = 0;
  for (uint32_t i = 1; i < words->n; i++) {
    const uint8_t *term = words->bytes + words->starts[i];
    const size_t size = words->starts[i + 1] - words->starts[i];
    while (matched > 0 && !is_word(words, matched, term, size)) matched = shorter[matched - 1];
    if (is_word(words, matched, term, size)) matched++;
    shorter[i] = matched;
  }
}

mv_status mv_phrase_counts(const mv_term_names *words, const uint8_t *const *texts,
                           const size_t *sizes, size_t n, uint32_t *counts) {
  if (words->n == 0 || words->n > UINT32_MAX) return MV_ERROR_ARGUMENT;
  uint32_t *shorter = mv_alloc(words->n, sizeof *shorter);
  if (shorter == NULL) return MV_ERROR_MEMORY;
  find_shorter(words, shorter);
  mv_status status = MV_OK;
  for (size_t i = 0; i < n && status == MV_OK; i++) {
    phrase_search search = {words, shorter, 0, 0};
    status = mv_tokenise(texts[i], sizes[i], take, &search);
    counts[i] = search.count;
  }
  mv_free(shorter);
  return status;
}
