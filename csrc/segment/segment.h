/* Documents of a segment: addresses and checks. */
#ifndef MV_SEGMENT_SEGMENT_H
#define MV_SEGMENT_SEGMENT_H

#include "../base/bits.h"
#include "../codec/codec.h"

/* The bytes of one document. */
typedef struct mv_document {
  const uint8_t *codes;  /* NULL without a codec */
  const uint8_t *record; /* behind inline codes */
  size_t n_tokens;
  size_t code_bytes;
} mv_document;

/* Bytes of a token in the records of a segment, inline codes included. */
static inline size_t mv_stored_bytes(const mv_segment *segment) {
  const mv_codec *codec = segment->codec;
  if (codec == NULL) return mv_token_bytes(segment->dim, 16);
  return codec->token_bytes + (segment->inline_codes ? segment->code_bytes : 0);
}

mv_document mv_document_find(const mv_segment *segment, uint32_t number);

/* The mark of a verified document whose codes are among the first n centroids, in half octaves. */
static inline uint8_t mv_mark_of(uint32_t n) {
  const unsigned width = mv_bit_width(n), half = width > 1 ? n >> (width - 2) & 1 : 0;
  return (uint8_t)(1 + 2 * width + half);
}

/* The bytes of a document in its chunk of records, inline codes included. */
const uint8_t *mv_record_find(const mv_segment *segment, uint32_t number, size_t *size);

/* The number of documents of the chosen segments; NULL: of all. */
size_t mv_documents_in(const mv_segment *segments, size_t n_segments, const uint8_t *chosen);

/* Whether n places are documents of the segments. */
int mv_places_fit(const mv_segment *segments, size_t n_segments, const mv_place *places, size_t n);

static inline int mv_is_allowed(const uint8_t *bitmap, uint32_t document) {
  return bitmap == NULL || (bitmap[document / 8] >> (document % 8) & 1) != 0;
}

#endif
