/* Tiles of document tokens, for fast and for precise scores. */
#ifndef MV_SEARCH_TILES_H
#define MV_SEARCH_TILES_H

#include <string.h>

#include "../base/ahead.h"
#include "../kernels/centroid_code.h"
#include "../segment/segment.h"
#include "query.h"

/* The packed residual of a token; those of the next ones follow it. */
static inline const uint8_t *residual_of(const mv_codec *codec, const mv_document *doc,
                                         size_t token) {
  return doc->record + 2 * doc->n_tokens + token * codec->packed_bytes;
}

/* Residual levels of n tokens from their packed residuals, one byte a dimension. */
static inline void unpack_levels(const mv_codec *codec, const uint8_t *const *packed, size_t n,
                                 uint8_t *rows) {
  if (codec->bits < 8) {
    mv_kernels_get()->unpack(packed, n, codec->padded, codec->bits, codec->levels->bytes, rows);
    return;
  }
  for (size_t i = 0; i < n; i++) memcpy(rows + i * codec->padded, packed[i], codec->padded);
}

/* The same of n <= MV_TILE tokens from token `first` on: in rows, or in the record itself where a
 * level is a byte (8 bits). */
static inline const uint8_t *tile_levels(const mv_codec *codec, const mv_document *doc,
                                         size_t first, size_t n, uint8_t *rows) {
  const uint8_t *packed[MV_TILE];
  if (codec->bits == 8) return residual_of(codec, doc, first);
  for (size_t i = 0; i < n; i++) packed[i] = residual_of(codec, doc, first + i);
  unpack_levels(codec, packed, n, rows);
  return rows;
}

static inline void tile_dots(const mv_codec *codec, const uint8_t *levels, size_t n,
                             const int8_t *packed, size_t lanes, const int32_t *bias,
                             int32_t *dots) {
  const mv_kernels *kernels = mv_kernels_get();
  (codec->bits == 8 ? kernels->dot8 : kernels->dot7)(levels, codec->padded, n, codec->padded,
                                                     packed, lanes, bias, dots);
}

enum { ROW_BYTES = 3 /* of the number of a row of a table, as a code */ };

/* Takes the row of the i-th token of a tile. It is loaded while the dot products are computed: the
 * table is larger than the nearest cache. */
static inline void take_row(const mv_table *table, size_t row, uint8_t *rows, size_t i) {
  mv_code_write(rows, i, ROW_BYTES, (uint32_t)row);
  mv_load_ahead(table->rows16 + row * table->block.lanes);
}

/* Of the lanes of a block: dot products of residuals are measured from the levels' zero. */
static inline void residual_bias(const mv_codec *codec, const mv_block *block, int32_t *bias) {
  for (size_t l = 0; l < block->lanes; l++) bias[l] = -codec->levels->zero * block->sums[l];
}

/* The sum over query tokens of the best of each, in the units of its lane. */
static inline float weighted_sum(const mv_block *block, const float *best) {
  float score = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) score += best[l] * block->scale[l];
  return score;
}

static inline void tile_scales(const mv_codec *codec, const mv_document *doc, size_t first,
                               size_t n, float *a, float *b) {
  for (size_t i = 0; i < n; i++) {
    a[i] = codec->a_scales[doc->record[first + i]];
    b[i] = codec->b_scales[doc->record[doc->n_tokens + first + i]];
  }
}

/* The levels, in rows, and the scales of n <= MV_TILE tokens apart from each other. */
static inline void take_levels(const mv_codec *codec, const mv_document *doc, const uint32_t *at,
                               size_t n, uint8_t *rows, float *a, float *b) {
  const uint8_t *packed[MV_TILE];
  for (size_t i = 0; i < n; i++) {
    packed[i] = residual_of(codec, doc, at[i]);
    tile_scales(codec, doc, at[i], 1, &a[i], &b[i]);
  }
  unpack_levels(codec, packed, n, rows);
}

/* Writes the place of the row of a token's centroid as the i-th of some, in the codec's bytes of a
 * code: those of the document may be fewer, from before centroids were added. */
static inline void put_place(const mv_codec *codec, const mv_document *doc, size_t token,
                             uint8_t *places, size_t i) {
  const size_t code = mv_code_read(doc->codes, token, doc->code_bytes);
  mv_code_write(places, i, codec->code_bytes, codec->centroids.places[code]);
}

static inline void tile_places(const mv_codec *codec, const mv_document *doc, size_t first,
                               size_t n, uint8_t *places) {
  for (size_t i = 0; i < n; i++) put_place(codec, doc, first + i, places, i);
}

/* The same of tokens apart from each other. */
static inline void take_places(const mv_codec *codec, const mv_document *doc, const uint32_t *at,
                               size_t n, uint8_t *places) {
  for (size_t i = 0; i < n; i++) put_place(codec, doc, at[i], places, i);
}

/* The rows of centroids at n places, one after the other. */
static inline void take_centroids(const mv_codec *codec, const uint8_t *places, size_t n,
                                  uint8_t *rows) {
  const size_t padded = codec->padded;
  for (size_t i = 0; i < n; i++) {
    const size_t place = mv_code_read(places, i, codec->code_bytes);
    memcpy(rows + i * padded, codec->centroids.rows + place * padded, padded);
  }
}

#endif
