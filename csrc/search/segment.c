/* Validation of a segment's view: afterwards the other functions index without checks. */
#include <stdint.h>

#include "../codec/codec.h"

static mv_status check_document_order(const mv_segment *segment) {
  if (segment->n_documents == UINT32_MAX || segment->n_chunks == UINT32_MAX)
    return MV_ERROR_CORRUPT;
  if (segment->starts[0] != 0) return MV_ERROR_CORRUPT;
  for (uint32_t i = 0; i < segment->n_documents; i++) {
    if (segment->starts[i + 1] <= segment->starts[i]) return MV_ERROR_CORRUPT;
  }
  if (segment->chunk_documents[0] != 0) return MV_ERROR_CORRUPT;
  if (segment->chunk_documents[segment->n_chunks] != segment->n_documents) return MV_ERROR_CORRUPT;
  for (uint32_t c = 0; c < segment->n_chunks; c++) {
    if (segment->chunk_documents[c + 1] <= segment->chunk_documents[c]) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

mv_status mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                           const size_t *records_sizes) {
  if (segment->dim < 1 || segment->dim > MV_MAX_DIM) return MV_ERROR_CORRUPT;
  if (segment->codec != NULL && segment->codec->dim != segment->dim) return MV_ERROR_CORRUPT;
  mv_status status = check_document_order(segment);
  if (status != MV_OK) return status;
  size_t token_bytes =
      segment->codec != NULL ? segment->codec->token_bytes : mv_token_bytes(segment->dim, 16);
  size_t code_bytes = segment->codec != NULL ? segment->codec->code_bytes : 0;
  for (uint32_t c = 0; c < segment->n_chunks; c++) {
    size_t tokens = (size_t)segment->starts[segment->chunk_documents[c + 1]] -
                    segment->starts[segment->chunk_documents[c]];
    if (records_sizes[c] != tokens * token_bytes) return MV_ERROR_CORRUPT;
    if (codes_sizes[c] != tokens * code_bytes) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

mv_status mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t n) {
  uint32_t greatest = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t code = mv_code_read(codes, i, codec->code_bytes);
    greatest = code > greatest ? code : greatest;
  }
  return greatest < codec->n_centroids ? MV_OK : MV_ERROR_CORRUPT;
}
