/* Inverted lists of a segment: for each centroid the documents that have a token with its code.
 * Frozen, part of the file format:
 *
 * Lists come in blocks of MV_LISTS_BLOCK consecutive centroids, what is read and checked together:
 *
 *   for each list:  varint documents, varint bytes of the list's body
 *   bodies, in the same order
 *
 * A body is cut into runs of MV_LISTS_RUN documents (the last one shorter), each a byte of width w,
 * 0..32, and the gaps of the run in w bits each, little-endian, filled up to whole bytes. A gap is
 * the distance to the document before, less one; the first one counts from -1. */
#ifndef MV_POSTINGS_LISTS_H
#define MV_POSTINGS_LISTS_H

#include "../mvdb.h"

typedef struct mv_list {
  uint32_t n; /* documents */
  const uint8_t *body;
  const uint8_t *end;
} mv_list;

/* The bytes of a block, one of those the lists have. */
const uint8_t *mv_lists_block(const mv_lists *lists, uint32_t block, size_t *size);

/* Finds the list of a centroid inside its block. */
mv_status mv_list_find(const mv_lists *lists, uint32_t centroid, mv_list *out);

/* Decodes the next run of a list that has *n documents left, *last being the document before it
 * (UINT32_MAX at the start): at most MV_LISTS_RUN documents, ascending and below n_documents. May
 * read MV_LISTS_SLACK bytes behind the body. */
mv_status mv_list_run(mv_list *list, uint32_t *last, uint32_t n_documents, uint32_t *documents,
                      size_t *count);

#endif
