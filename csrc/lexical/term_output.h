/* The blocks of a new index, term by term, in memory until they are taken (grammar: terms.h).
 *
 * For each term in ascending order: mv_output_postings as often as wanted, then mv_output_term.
 * Used by one thread. After a failure only mv_output_free. */
#ifndef MV_LEXICAL_TERM_OUTPUT_H
#define MV_LEXICAL_TERM_OUTPUT_H

#include "../base/alloc.h"
#include "term_bounds.h"

typedef struct mv_bytes {
  mv_buffer buffer;
  size_t size;
} mv_bytes;

typedef struct mv_term_output {
  const uint16_t *lengths; /* [n_rows], of the caller; NULL: weights */
  float average;           /* of the lengths that are above 0 */
  /* Finished blocks, as mv_term_blocks has them. */
  mv_bytes blocks, block_sizes, heads, head_sizes;
  size_t n_blocks;
  /* The open block: its entries, its bodies, its last term. */
  mv_bytes entries, bodies;
  uint32_t n_terms;
  uint8_t term[MV_MAX_TERM];
  size_t term_size;
  /* The open list: finished runs and their skips, and the postings behind them. */
  mv_bytes skips, runs;
  uint32_t n_postings, next; /* next: the row behind the last one */
  uint32_t rows[MV_TERMS_RUN];
  uint16_t values[MV_TERMS_RUN];
} mv_term_output;

void mv_output_init(mv_term_output *output, const uint16_t *lengths, uint32_t n_rows);
void mv_output_free(mv_term_output *output);

/* Appends postings to the open list; rows ascend. */
mv_status mv_output_postings(mv_term_output *output, const uint32_t *rows, const uint16_t *values,
                             size_t n);
/* Ends the list as that of a term; a list without postings is left out. */
mv_status mv_output_term(mv_term_output *output, const uint8_t *term, size_t size);
/* Ends the open block. */
mv_status mv_output_end(mv_term_output *output);
/* Bytes of finished blocks. */
size_t mv_output_size(const mv_term_output *output);
/* Gives the finished blocks; valid until they are dropped. */
void mv_output_take(mv_term_output *output, mv_term_blocks *blocks);
/* Drops the finished blocks. */
void mv_output_clear(mv_term_output *output);

#endif
