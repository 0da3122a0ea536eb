/* Inverted lists of a segment: for each centroid the documents that have a token nearest to it.
 * Frozen, part of the file format:
 *
 *   block    header body*           lists of MV_LISTS_BLOCK centroids: read and checked together
 *   header   (documents size)*      two varints a list: documents, bytes of its body
 *   body     run*                   MV_LISTS_RUN documents each, the last run fewer
 *   run      width gap*             one byte, 0..32; gaps of `width` bits, little-endian, filled up
 *                                   to whole bytes
 *   gap      document - previous - 1; the document before the first counts as -1
 *   varint   7 bits a byte, the lowest first; bit 7 set in all bytes but the last; 1 to 5 bytes */
#ifndef MV_POSTINGS_LISTS_H
#define MV_POSTINGS_LISTS_H

#include "../mvdb.h"

typedef struct mv_list {
  uint32_t n; /* documents */
  const uint8_t *body;
  const uint8_t *end;
} mv_list;

/* The bytes of a block. REQUIRES: the lists have it. */
const uint8_t *mv_lists_block(const mv_lists *lists, uint32_t block, size_t *size);

/* Finds the list of a centroid inside its block. */
mv_status mv_list_find(const mv_lists *lists, uint32_t centroid, mv_list *out);

/* Decodes the next run of a list that has *n documents left, *last being the document before it
 * (UINT32_MAX at the start): at most MV_LISTS_RUN documents, ascending and below n_documents. May
 * read MV_LISTS_SLACK bytes behind the body. */
mv_status mv_list_run(mv_list *list, uint32_t *last, uint32_t n_documents, uint32_t *documents,
                      size_t *count);

#endif
