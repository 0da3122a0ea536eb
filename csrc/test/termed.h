/* Term indexes for the tests, as the core makes them; all arrays heap blocks of exact size. */
#ifndef MV_TEST_TERMED_H
#define MV_TEST_TERMED_H

#include "../lexical/terms.h"
#include "model.h"

typedef struct termed {
  mv_terms view;
  mv_terms_sizes sizes;
  uint16_t *lengths;
  uint32_t *block_starts, *extent_blocks, *head_starts;
  uint8_t *heads;
  uint8_t **extents;
  size_t *extent_sizes;
} termed;

/* Collects the blocks of one call after the other. */
typedef struct termed_parts {
  uint8_t *bytes;
  uint8_t *heads;
  uint32_t *block_starts, *head_starts;
  size_t n;
} termed_parts;

void termed_begin(termed_parts *parts);
void termed_append(termed_parts *parts, const mv_term_blocks *blocks);
/* Makes an index of the parts, which are freed; extents of three blocks. lengths are copied. */
void termed_end(termed *out, termed_parts *parts, const uint16_t *lengths, uint32_t n_rows);

/* The index of a builder's rows. */
void termed_build(termed *out, mv_term_builder *builder, int has_lengths);
void termed_free(termed *used);

/* The texts of n documents of up to `longest` words; word i is twice as frequent as word 2 i. */
char **texts_draw(uint64_t *seed, size_t n, size_t n_words, size_t longest);
void texts_free(char **texts, size_t n);
mv_status texts_add(mv_term_builder *builder, char *const *texts, size_t first, size_t last);
/* The index of texts. */
void termed_of_texts(termed *out, char *const *texts, size_t n);

#endif
