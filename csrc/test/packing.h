/* Inverted lists for the tests, as the core makes them; all arrays heap blocks of exact size. */
#ifndef MV_TEST_PACKING_H
#define MV_TEST_PACKING_H

#include "model.h"

typedef struct packing {
  mv_lists view;
  uint32_t *block_starts;
  uint32_t *extent_blocks;
  uint8_t **extents;
  size_t *extent_sizes;
  size_t n_block_starts, n_extent_blocks; /* entries of the arrays */
} packing;

/* Packs lists given as counts and documents, one list behind the other; at most n_extents. */
void packing_build(packing *out, const uint32_t *counts, const uint32_t *documents,
                   uint32_t n_lists, uint32_t n_extents);
/* The same of documents given by their codes. */
void packing_of_codes(packing *out, const uint8_t *codes, size_t code_bytes, const uint32_t *starts,
                      uint32_t n_documents, uint32_t n_lists, uint32_t n_extents);
void packing_free(packing *used);

/* Numbers as codes. */
uint8_t *codes_of(const uint32_t *numbers, size_t n, size_t code_bytes);

#endif
