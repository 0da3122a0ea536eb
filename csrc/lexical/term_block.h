/* Terms of a block, one after the other, and the postings of a term (grammar: terms.h). Bytes are
 * untrusted; what is read lies inside its block, but for MV_TERMS_SLACK bytes behind it. */
#ifndef MV_LEXICAL_TERM_BLOCK_H
#define MV_LEXICAL_TERM_BLOCK_H

#include "term_bounds.h"

enum { MV_HALF = 15 }; /* half a byte that stands for a byte of its own */

/* The postings of a term in one index. */
typedef struct mv_term_postings {
  const mv_terms *terms;
  uint32_t n; /* 1..n_rows */
  uint32_t n_runs;
  const uint8_t *skips; /* NULL: one run */
  const uint8_t *runs;
  uint32_t size; /* bytes of the runs */
} mv_term_postings;

/* The last row of a run; of the only run of a list the last row that it can have. */
uint32_t mv_postings_last(const mv_term_postings *list, uint32_t run);
/* The first run from `run` on whose last row is at least `row`; n_runs when there is none. */
uint32_t mv_postings_find(const mv_term_postings *list, uint32_t run, uint32_t row);
/* Reads a run: rows and values, MV_TERMS_RUN of them at most. */
mv_status mv_postings_read(const mv_term_postings *list, uint32_t run, uint32_t *rows,
                           uint16_t *values, uint32_t *n);
/* The bounds of a run. REQUIRES: several runs. */
void mv_postings_bounds(const mv_term_postings *list, uint32_t run, mv_term_bound bounds[2]);

/* A reader of a block's terms. */
typedef struct mv_term_cursor {
  const mv_terms *terms;
  uint32_t block;
  uint32_t left; /* terms behind the present one */
  uint32_t size; /* of the present term; 0 before the first */
  uint8_t term[MV_MAX_TERM];
  const uint8_t *entry; /* of the next term */
  const uint8_t *entries_end;
  const uint8_t *body; /* of the next term */
  const uint8_t *end;
  mv_term_postings list; /* of the present term */
} mv_term_cursor;

/* Stands before the first term of a block. */
mv_status mv_cursor_start(mv_term_cursor *cursor, const mv_terms *terms, uint32_t block);
/* Goes to the next term. REQUIRES: left > 0. */
mv_status mv_cursor_next(mv_term_cursor *cursor);

/* Order of two terms by their bytes: below, at or above 0. */
int mv_term_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

/* The postings of a term; *found is 0 where the index has none. */
mv_status mv_terms_find(const mv_terms *terms, const uint8_t *term, size_t size,
                        mv_term_postings *list, int *found);

#endif
