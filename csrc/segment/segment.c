/* Checks of a segment's view: the other functions index without checks, and rely on them. */
#include "segment.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../base/alloc.h"
#include "../base/borders.h"
#include "../kernels/centroid_code.h"
#include "../vectors/points.h"

#define UNIT_TOLERANCE 0.01f /* of a squared length: rounding to float16 moves it by 2^-10 */

mv_document mv_document_find(const mv_segment *segment, uint32_t number) {
  const uint32_t chunk = mv_part_of(segment->chunk_documents, segment->n_chunks, number);
  size_t offset = segment->starts[number] - segment->starts[segment->chunk_documents[chunk]];
  const mv_codec *codec = segment->codec;
  mv_document found;
  found.n_tokens = segment->starts[number + 1] - segment->starts[number];
  found.record = segment->records[chunk] + offset * mv_stored_bytes(segment);
  found.codes = NULL;
  found.code_bytes = segment->code_bytes;
  if (codec != NULL && segment->inline_codes) {
    found.codes = found.record;
    found.record += found.n_tokens * segment->code_bytes;
  } else if (codec != NULL) {
    found.codes = segment->codes[chunk] + offset * segment->code_bytes;
  }
  return found;
}

const uint8_t *mv_record_find(const mv_segment *segment, uint32_t number, size_t *size) {
  const mv_document document = mv_document_find(segment, number);
  *size = document.n_tokens * mv_stored_bytes(segment);
  return segment->inline_codes ? document.codes : document.record;
}

size_t mv_documents_in(const mv_segment *segments, size_t n_segments, const uint8_t *chosen) {
  size_t n = 0;
  for (size_t s = 0; s < n_segments; s++) {
    n += chosen == NULL || chosen[s] ? segments[s].n_documents : 0;
  }
  return n;
}

int mv_places_fit(const mv_segment *segments, size_t n_segments, const mv_place *places, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (places[i].segment >= n_segments) return 0;
    if (places[i].document >= segments[places[i].segment].n_documents) return 0;
  }
  return 1;
}

mv_status mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                           const size_t *records_sizes) {
  if (segment->dim < 1 || segment->dim > MV_MAX_DIM) return MV_ERROR_CORRUPT;
  if (segment->codec != NULL && segment->codec->dim != segment->dim) return MV_ERROR_CORRUPT;
  const uint32_t *chunks = segment->chunk_documents, n_chunks = segment->n_chunks;
  if (segment->n_documents == UINT32_MAX || n_chunks == UINT32_MAX) return MV_ERROR_CORRUPT;
  if (!mv_borders_rise(segment->starts, segment->n_documents) ||
      !mv_borders_rise(chunks, n_chunks) || chunks[n_chunks] != segment->n_documents)
    return MV_ERROR_CORRUPT;
  if (segment->codec == NULL && (segment->inline_codes || segment->lists != NULL))
    return MV_ERROR_CORRUPT;
  if (segment->codec != NULL && segment->code_bytes != 2 && segment->code_bytes != 3)
    return MV_ERROR_CORRUPT;
  if (segment->lists != NULL && segment->lists->n_lists > segment->codec->centroids.n)
    return MV_ERROR_CORRUPT;
  size_t token_bytes = mv_stored_bytes(segment);
  int apart = segment->codec != NULL && !segment->inline_codes;
  size_t code_bytes = apart ? segment->code_bytes : 0;
  for (uint32_t c = 0; c < n_chunks; c++) {
    size_t tokens = (size_t)segment->starts[chunks[c + 1]] - segment->starts[chunks[c]];
    if (records_sizes[c] != tokens * token_bytes) return MV_ERROR_CORRUPT;
    if (codes_sizes[c] != tokens * code_bytes) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

/* The square of a float16 number; above 2^31 for one that is not finite. */
static float half_square(const uint8_t *at) {
  uint16_t half;
  memcpy(&half, at, sizeof(half));
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13; /* its exponent still has float16's bias */
  float x;
  memcpy(&x, &bits, sizeof(x));
  x *= 0x1p112f;
  return x * x;
}

enum { PARTIAL_SUMS = 16 };

mv_status mv_units_check(const uint8_t *rows, size_t size, size_t dim) {
  if (size % (2 * dim) != 0) return MV_ERROR_CORRUPT;
  for (const uint8_t *end = rows + size; rows < end; rows += 2 * dim) {
    float sums[PARTIAL_SUMS] = {0}, square = 0.0f;
    size_t d = 0;
    for (; d + PARTIAL_SUMS <= dim; d += PARTIAL_SUMS) {
      for (size_t j = 0; j < PARTIAL_SUMS; j++) sums[j] += half_square(rows + 2 * (d + j));
    }
    for (; d < dim; d++) square += half_square(rows + 2 * d);
    for (size_t j = 0; j < PARTIAL_SUMS; j++) square += sums[j];
    if (square < 1.0f - UNIT_TOLERANCE || square > 1.0f + UNIT_TOLERANCE) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

static mv_status check_document(const mv_segment *segment, uint32_t number, uint8_t *mark) {
  const mv_document document = mv_document_find(segment, number);
  const uint32_t n_tokens = (uint32_t)document.n_tokens;
  *mark = mv_mark_of(0);
  if (segment->codec == NULL)
    return mv_units_check(document.record, document.n_tokens * 2 * segment->dim, segment->dim);
  uint32_t greatest;
  const mv_status status =
      mv_greatest_codes(document.codes, document.n_tokens * document.code_bytes,
                        document.code_bytes, &n_tokens, 1, &greatest);
  if (status != MV_OK) return status;
  *mark = mv_mark_of(greatest + 1);
  return greatest < segment->codec->centroids.n ? MV_OK : MV_ERROR_CORRUPT;
}

mv_status mv_documents_check(const mv_segment *segment, const uint32_t *documents, size_t n,
                             uint8_t *marks) {
  for (size_t i = 0; i < n; i++) {
    if (documents[i] >= segment->n_documents) return MV_ERROR_ARGUMENT;
    const mv_status status = check_document(segment, documents[i], &marks[i]);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

mv_status mv_document_points(const mv_segment *segment, int8_t *points) {
  const mv_codec *codec = segment->codec;
  if (codec == NULL) return MV_ERROR_ARGUMENT;
  int32_t *sum = mv_alloc(codec->padded, sizeof(int32_t));
  float *mean = mv_alloc(codec->padded, sizeof(float));
  mv_status status = sum != NULL && mean != NULL ? MV_OK : MV_ERROR_MEMORY;
  for (uint32_t i = 0; status == MV_OK && i < segment->n_documents; i++) {
    mv_document document = mv_document_find(segment, i);
    memset(sum, 0, codec->padded * sizeof(int32_t));
    status = mv_codes_check(codec, document.codes, document.n_tokens * document.code_bytes,
                            document.code_bytes);
    for (size_t t = 0; status == MV_OK && t < document.n_tokens; t++) {
      const size_t code = mv_code_read(document.codes, t, document.code_bytes);
      const uint8_t *row = mv_centroid_row(&codec->centroids, code);
      for (size_t d = 0; d < codec->padded; d++) sum[d] += (int32_t)row[d] - 128;
    }
    double square = 0.0;
    for (size_t d = 0; d < codec->padded; d++) square += (double)sum[d] * (double)sum[d];
    const float inverse = square > 0.0 ? (float)(1.0 / sqrt(square)) : 0.0f;
    for (size_t d = 0; d < codec->padded; d++) mean[d] = (float)sum[d] * inverse;
    mv_point_quantise(codec->dim, codec->padded, mean, points + i * codec->padded);
  }
  mv_free(sum);
  mv_free(mean);
  return status;
}
