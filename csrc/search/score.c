/* The fine stage: MaxSim over the stored vectors of chosen documents. */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "query.h"
#include "segment.h"

/* Residual levels of n tokens from token `first` on, one byte a dimension: unpacked into rows, or
 * where they lie when a level is a byte already. */
static const uint8_t *tile_levels(const mv_codec *codec, const mv_document *doc, size_t first,
                                  size_t n, uint8_t *rows) {
  const uint8_t *packed = doc->record + 2 * doc->n_tokens + first * codec->packed_bytes;
  if (codec->bits == 8) return packed;
  mv_kernels_get()->unpack(packed, n, codec->padded, codec->bits, codec->levels->bytes, rows);
  return rows;
}

static void tile_dots(const mv_codec *codec, const uint8_t *levels, size_t n, const int8_t *packed,
                      size_t lanes, const int32_t *bias, int32_t *dots) {
  const mv_kernels *kernels = mv_kernels_get();
  if (codec->bits == 8) {
    kernels->dot8(levels, codec->padded, n, codec->padded, packed, lanes, bias, dots);
  } else {
    kernels->dot7(levels, codec->padded, n, codec->padded, packed, lanes, bias, dots);
  }
}

static void tile_scales(const mv_codec *codec, const mv_document *doc, size_t first, size_t n,
                        float *a, float *b) {
  for (size_t i = 0; i < n; i++) {
    a[i] = codec->a_scales[doc->record[first + i]];
    b[i] = codec->b_scales[doc->record[doc->n_tokens + first + i]];
  }
}

/* ---- fast scores ---- */

/* Tokens that are scored together. */
typedef struct token_tile {
  size_t n;
  const uint8_t *levels; /* [n][padded] */
  const uint8_t *codes;  /* [n][code_bytes] */
  float a[MV_TILE];
  float b[MV_TILE];
  uint8_t own_codes[MV_TILE * 3];
} token_tile;

/* The table is larger than the caches: its rows come while the dot products are computed. */
static void load_table_ahead(const mv_query *query, size_t lanes, const token_tile *t,
                             size_t code_bytes) {
  const int16_t *table = query->table16.data;
  for (size_t i = 0; i < t->n; i++) {
    mv_load_ahead(table + mv_code_read(t->codes, i, code_bytes) * lanes);
  }
}

/* The next tokens from token `first` on; returns where to go on. */
static size_t take_all(const mv_query *query, const mv_codec *codec, const mv_document *doc,
                       size_t first, token_tile *t) {
  t->n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
  t->codes = doc->codes + first * doc->code_bytes;
  t->levels = tile_levels(codec, doc, first, t->n, query->rows.data);
  tile_scales(codec, doc, first, t->n, t->a, t->b);
  return first + t->n;
}

/* The same of those tokens whose centroid's row the table has. The others are far from all of the
 * query: the floor stands for them, and their residuals are not even read. */
static size_t take_present(const mv_query *query, const mv_codec *codec, const mv_document *doc,
                           size_t first, token_tile *t) {
  const uint8_t *present = query->present.data;
  size_t chosen[MV_TILE + 1], n = 0;
  for (; first < doc->n_tokens && n < MV_TILE; first++) {
    chosen[n] = first;
    n += mv_is_present(present, mv_code_read(doc->codes, first, doc->code_bytes));
  }
  for (size_t i = 0; i < n; i++) {
    uint8_t *row = (uint8_t *)query->rows.data + i * codec->padded;
    const uint8_t *levels = tile_levels(codec, doc, chosen[i], 1, row);
    if (levels != row) memcpy(row, levels, codec->padded);
    const uint32_t code = mv_code_read(doc->codes, chosen[i], doc->code_bytes);
    mv_code_write(t->own_codes, i, doc->code_bytes, code);
    tile_scales(codec, doc, chosen[i], 1, &t->a[i], &t->b[i]);
  }
  t->n = n;
  t->codes = t->own_codes;
  t->levels = query->rows.data;
  return first;
}

static float score_fast(const mv_query *query, const mv_codec *codec, const mv_block *block,
                        const mv_document *doc) {
  float best[MV_LANES_MAX];
  int32_t bias[MV_LANES_MAX];
  token_tile t;
  for (size_t l = 0; l < block->lanes; l++) {
    best[l] = -FLT_MAX;
    bias[l] = -codec->levels->zero * block->sums[l];
  }
  for (size_t at = 0; at < doc->n_tokens;) {
    at = query->all_present ? take_all(query, codec, doc, at, &t)
                            : take_present(query, codec, doc, at, &t);
    load_table_ahead(query, block->lanes, &t, doc->code_bytes);
    tile_dots(codec, t.levels, t.n, block->packed, block->lanes, bias, query->dots.data);
    mv_kernels_get()->maxsim(query->dots.data, t.n, block->lanes, t.a, t.b, t.codes,
                             doc->code_bytes, query->table16.data, query->unit, best);
  }
  float score = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) {
    float value = best[l] > query->floor[l] ? best[l] : query->floor[l];
    score += value * block->scale[l];
  }
  return score;
}

/* ---- precise scores: the query in sixteen bits, as two lanes of eight ---- */

enum {
  HALF = MV_LANES_MIN,  /* query tokens of a precise block: high parts, then low parts */
  RADIX = 254,          /* x = RADIX * high + low with both in -127..127 */
  LARGEST = 127 * RADIX /* of the sixteen-bit values */
};

typedef struct precise_block {
  size_t first; /* query token */
  size_t tokens;
  int32_t row_bias[MV_LANES_MAX];
  int32_t level_bias[MV_LANES_MAX];
  double unit[HALF]; /* real units per integer unit */
} precise_block;

static void put_split(int8_t *packed, size_t lane, size_t d, int x) {
  int high = (x + (x < 0 ? -RADIX / 2 : RADIX / 2)) / RADIX;
  int8_t *place = packed + d / 4 * MV_LANES_MAX * 4 + d % 4;
  place[lane * 4] = (int8_t)high;
  place[(HALF + lane) * 4] = (int8_t)(x - RADIX * high);
}

/* Packs up to HALF query tokens from `first` on, in the space of a codec, into query->lanes. */
static mv_status load_precise(mv_query *query, const mv_codec *codec, size_t first,
                              precise_block *block) {
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  int8_t *packed = mv_buffer_reserve(&query->lanes, query->padded, MV_LANES_MAX);
  if (packed == NULL) return MV_ERROR_MEMORY;
  memset(packed, 0, query->padded * MV_LANES_MAX);
  block->first = first;
  block->tokens = query->m - first < HALF ? query->m - first : HALF;
  for (size_t l = 0; l < block->tokens; l++) {
    const float *row = (const float *)query->rotated.data + (first + l) * query->padded;
    float limit = mv_largest(row, query->padded);
    float inverse = limit > 0.0f ? (float)LARGEST / limit : 0.0f;
    block->unit[l] = (double)limit / LARGEST;
    for (size_t d = 0; d < query->padded; d++) {
      float x = row[d] * inverse;
      put_split(packed, l, d, (int)(x + (x < 0.0f ? -0.5f : 0.5f)));
    }
  }
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    int32_t sum = 0;
    for (size_t d = 0; d < query->padded; d++)
      sum += packed[d / 4 * MV_LANES_MAX * 4 + l * 4 + d % 4];
    block->row_bias[l] = -128 * sum;
    block->level_bias[l] = -codec->levels->zero * sum;
  }
  return MV_OK;
}

static double joined(const int32_t *dots, size_t lane) {
  return (double)RADIX * (double)dots[lane] + (double)dots[HALF + lane];
}

/* Adds to out[l] the products of one scaled set of rows: out[i][l] += scale[i] * dot. */
static void add_joined(const int32_t *dots, size_t n, const precise_block *block,
                       const float *scale, double factor, double *out) {
  for (size_t i = 0; i < n; i++) {
    for (size_t l = 0; l < block->tokens; l++) {
      out[i * HALF + l] +=
          factor * (double)scale[i] * joined(dots + i * MV_LANES_MAX, l) * block->unit[l];
    }
  }
}

/* Scores of up to MV_TILE tokens with a precise block: out [n][HALF]. */
static void tile_precise(const mv_query *query, const mv_codec *codec, const precise_block *block,
                         const mv_document *doc, size_t first, size_t n, double *out) {
  float a[MV_TILE], b[MV_TILE];
  int32_t *dots = query->dots.data;
  uint8_t *rows = query->rows.data;
  tile_scales(codec, doc, first, n, a, b);
  memset(out, 0, n * HALF * sizeof(*out));
  tile_dots(codec, tile_levels(codec, doc, first, n, rows), n, query->lanes.data, MV_LANES_MAX,
            block->level_bias, dots);
  add_joined(dots, n, block, b, 1.0, out);
  for (size_t i = 0; i < n; i++) {
    size_t code = mv_code_read(doc->codes, first + i, doc->code_bytes);
    memcpy(rows + i * codec->padded, codec->rows + code * codec->padded, codec->padded);
  }
  mv_kernels_get()->dot8(rows, codec->padded, n, codec->padded, query->lanes.data, MV_LANES_MAX,
                         block->row_bias, dots);
  add_joined(dots, n, block, a, 1.0 / (double)mv_point_scale(codec->dim), out);
}

static double score_precise(const mv_query *query, const mv_codec *codec,
                            const precise_block *block, const mv_document *doc) {
  double best[HALF], tile[MV_TILE * HALF];
  for (size_t l = 0; l < HALF; l++) best[l] = -DBL_MAX;
  for (size_t first = 0; first < doc->n_tokens; first += MV_TILE) {
    size_t n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
    tile_precise(query, codec, block, doc, first, n, tile);
    for (size_t i = 0; i < n; i++) {
      for (size_t l = 0; l < HALF; l++) {
        best[l] = tile[i * HALF + l] > best[l] ? tile[i * HALF + l] : best[l];
      }
    }
  }
  double score = 0.0;
  for (size_t l = 0; l < block->tokens; l++) score += best[l];
  return score;
}

/* ---- float16 records ---- */

/* Transposes the plain query tokens of a block to [dim][lanes] in query->lanes. */
static mv_status load_plain(mv_query *query, const mv_block *block) {
  float *lanes = mv_buffer_reserve(&query->lanes, query->dim * block->lanes, sizeof(float));
  if (lanes == NULL) return MV_ERROR_MEMORY;
  const float *plain = (const float *)query->plain.data + block->first * query->dim;
  for (size_t d = 0; d < query->dim; d++) {
    for (size_t l = 0; l < block->lanes; l++) {
      lanes[d * block->lanes + l] = l < block->tokens ? plain[l * query->dim + d] : 0.0f;
    }
  }
  return MV_OK;
}

static float score_float16(const mv_query *query, const mv_block *block, const mv_document *doc) {
  float best[MV_LANES_MAX];
  for (size_t l = 0; l < block->lanes; l++) best[l] = -FLT_MAX;
  mv_kernels_get()->maxsim_f16(doc->record, doc->n_tokens, query->dim, query->lanes.data,
                               block->lanes, best);
  float score = 0.0f;
  for (size_t l = 0; l < block->tokens; l++) score += best[l];
  return score;
}

/* ---- public functions ---- */

/* Longer records are left to the processor, which by then has seen where they go. */
enum { RECORD_AHEAD = 8192 };

static void load_record_ahead(const mv_segment *segments, const mv_place *place) {
  const mv_segment *segment = &segments[place->segment];
  mv_document doc = mv_document_find(segment, place->document);
  size_t bytes = doc.n_tokens * mv_stored_bytes(segment);
  const uint8_t *from = segment->inline_codes ? doc.codes : doc.record;
  mv_load_range_ahead(from, bytes < RECORD_AHEAD ? bytes : RECORD_AHEAD);
}

/* Scores the places whose segment has the given codec (NULL: float16), adding to scores. */
static mv_status score_codec(mv_query *query, const mv_segment *segments, const mv_codec *codec,
                             const mv_place *places, size_t n, int mode, float *scores) {
  int precise = codec != NULL && mode == MV_SCORE_PRECISE;
  size_t step = precise ? (size_t)HALF : (size_t)MV_LANES_MAX;
  for (size_t first = 0; first < query->m; first += step) {
    mv_block plain;
    precise_block exact;
    mv_status status;
    if (precise) {
      status = load_precise(query, codec, first, &exact);
    } else if (codec != NULL) {
      status = mv_query_tables(query, codec, first / MV_LANES_MAX);
    } else {
      mv_query_span(query, first / MV_LANES_MAX, &plain);
      status = load_plain(query, &plain);
    }
    if (status != MV_OK) return status;
    for (size_t i = 0; i < n; i++) {
      const mv_segment *segment = &segments[places[i].segment];
      if (segment->codec != codec) continue;
      mv_document doc = mv_document_find(segment, places[i].document);
      if (i + 1 < n) load_record_ahead(segments, &places[i + 1]);
      if (precise) {
        scores[i] += (float)score_precise(query, codec, &exact, &doc);
      } else if (codec != NULL) {
        scores[i] += score_fast(query, codec, &query->block, &doc);
      } else {
        scores[i] += score_float16(query, &plain, &doc);
      }
    }
  }
  return MV_OK;
}

mv_status mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
                   const mv_place *places, size_t n, int mode, float *scores) {
  if (!mv_query_fits(query, segments, n_segments)) return MV_ERROR_ARGUMENT;
  for (size_t i = 0; i < n; i++) {
    if (places[i].segment >= n_segments) return MV_ERROR_ARGUMENT;
    if (places[i].document >= segments[places[i].segment].n_documents) return MV_ERROR_ARGUMENT;
    scores[i] = 0.0f;
  }
  for (size_t s = 0; s < n_segments; s++) {
    if (mv_codec_seen(segments, s)) continue;
    mv_status status = score_codec(query, segments, segments[s].codec, places, n, mode, scores);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

static mv_status explain_codec(mv_query *query, const mv_codec *codec, const mv_document *doc,
                               float *matrix) {
  double tile[MV_TILE * HALF];
  for (size_t start = 0; start < query->m; start += HALF) {
    precise_block block;
    mv_status status = load_precise(query, codec, start, &block);
    if (status != MV_OK) return status;
    for (size_t first = 0; first < doc->n_tokens; first += MV_TILE) {
      size_t n = doc->n_tokens - first < MV_TILE ? doc->n_tokens - first : MV_TILE;
      tile_precise(query, codec, &block, doc, first, n, tile);
      for (size_t l = 0; l < block.tokens; l++) {
        float *row = matrix + (start + l) * doc->n_tokens + first;
        for (size_t i = 0; i < n; i++) row[i] = (float)tile[i * HALF + l];
      }
    }
  }
  return MV_OK;
}

static mv_status explain_float16(mv_query *query, const mv_document *doc, float *matrix) {
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    mv_block block;
    mv_query_span(query, index, &block);
    mv_status status = load_plain(query, &block);
    if (status != MV_OK) return status;
    for (size_t i = 0; i < doc->n_tokens; i++) {
      mv_document token = {NULL, doc->record + i * mv_token_bytes(query->dim, 16), 1, 0};
      float best[MV_LANES_MAX];
      for (size_t l = 0; l < block.lanes; l++) best[l] = -FLT_MAX;
      mv_kernels_get()->maxsim_f16(token.record, 1, query->dim, query->lanes.data, block.lanes,
                                   best);
      for (size_t l = 0; l < block.tokens; l++) {
        matrix[(block.first + l) * doc->n_tokens + i] = best[l];
      }
    }
  }
  return MV_OK;
}

mv_status mv_explain(mv_query *query, const mv_segment *segment, uint32_t number, size_t n_tokens,
                     float *matrix) {
  if (number >= segment->n_documents || segment->dim != query->dim) return MV_ERROR_ARGUMENT;
  mv_document doc = mv_document_find(segment, number);
  if (doc.n_tokens != n_tokens) return MV_ERROR_ARGUMENT;
  return segment->codec != NULL ? explain_codec(query, segment->codec, &doc, matrix)
                                : explain_float16(query, &doc, matrix);
}
