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

/* Documents of 1 to `longest` tokens, given by their codes. */
typedef struct coded {
  uint32_t n_documents, n_lists;
  uint32_t *starts;
  uint32_t *numbers;
  uint8_t *codes;
  size_t code_bytes;
} coded;

/* Few lists are long, many are short, some are empty. */
void coded_draw(coded *out, uint64_t *seed, uint32_t n_documents, uint32_t n_lists,
                size_t code_bytes, uint32_t longest);
void coded_free(coded *used);

/* Reads a list wholly; the number of its documents, or UINT32_MAX when it is corrupt. The first
 * `most` of them are written. Documents that were read rise and are below n_documents in any case;
 * else the program ends. */
uint32_t read_list(const mv_lists *lists, uint32_t number, uint32_t n_documents,
                   uint32_t *documents, size_t most);

#endif
