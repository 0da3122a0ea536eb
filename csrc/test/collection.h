/* A segment for the tests, all of its arrays heap blocks of exact size; and naive scores. */
#ifndef MV_TEST_COLLECTION_H
#define MV_TEST_COLLECTION_H

#include "model.h"

typedef struct collection {
  mv_segment view;
  size_t n_tokens;
  size_t code_bytes;
  size_t token_bytes;
  uint32_t *starts;
  uint32_t *chunk_documents;
  uint8_t **codes;
  uint8_t **records;
  size_t *codes_sizes;
  size_t *records_sizes;
  float *decoded; /* [n_tokens][dim], as mv_decode or the float16 format gives them */
} collection;

/* Documents of the given lengths in n_chunks chunks; used NULL: float16 records. */
void collection_build(collection *out, const model *used, uint32_t dim, const float *vectors,
                      const uint32_t *lengths, uint32_t n_documents, uint32_t n_chunks);
void collection_free(collection *from);

/* A copy whose codes are in its records, before each document's own. */
void collection_inline(collection *out, const collection *from);

/* The centroid number of a token; not of inline codes. */
uint32_t collection_code(const collection *from, uint32_t document, uint32_t token);

/* In double. */
double naive_dot(const float *x, const float *y, size_t dim);
/* MaxSim of a document, from its decoded vectors. */
double naive_score(const collection *from, uint32_t document, const float *query, size_t m);

#endif
