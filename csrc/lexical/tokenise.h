/* Text to terms: words, identifiers whole and in parts, pairs of characters of unspaced scripts.
 * Holds no state, allocates nothing and reads each byte a bounded number of times; any thread.
 *
 * The text is UTF-8 that mvdb/lexical/tokeniser.py folded: no accents, no capitals but ASCII's.
 * Bytes that are no UTF-8 separate terms.
 *
 *   run        (word joint)* word suffix?     becomes one WORD or IDENTIFIER, then its parts
 *   word       letters, digits and underscores, at least one of them no underscore
 *   joint      one of . - ' / @ or ::         between words; : beside a digit; , between digits;
 *                                             & between capitals. None after MV_MAX_TERM bytes
 *   suffix     ++ or #                        as in C++, unless a word follows the #
 *   parts      words between joints, pieces between underscores, pieces of inner capitals (letters
 *              or digits before a capital: http2|Response, HTTP|Server), and letters | digits where
 *              a piece is one of each; only where they differ from the whole that they are of
 *   unspaced   Han, kana, Hangul, Thai, Lao, Khmer, Myanmar: each pair of neighbours, or the single
 *              character
 *
 * Terms depend on these rules: a change is a new version of the tokeniser. */
#ifndef MV_LEXICAL_TOKENISE_H
#define MV_LEXICAL_TOKENISE_H

#include "../mvdb.h"

typedef struct mv_token {
  const uint8_t *term;  /* ASCII in lower case; valid during the call of emit alone */
  uint32_t size;        /* 1 .. MV_MAX_TERM bytes; a longer term is cut between characters */
  uint32_t first, last; /* byte range in the text, of the term before it was cut */
  uint8_t kind;         /* MV_TOKEN_* */
} mv_token;

/* What receives the tokens: another status than MV_OK ends the run and is returned. */
typedef mv_status (*mv_token_emit)(void *context, const mv_token *token);

/* MV_ERROR_ARGUMENT from 4 GiB on. */
mv_status mv_tokenise(const uint8_t *text, size_t size, mv_token_emit emit, void *context);

#endif
