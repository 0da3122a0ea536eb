/* The fine stage: MaxSim over the stored vectors of given documents. A document's score is the sum
 * over query tokens of the best a * (centroid score) + b * (residual dot product) of its tokens:
 *
 *   1. make the table of the block (fast), or split the query into two int8 halves (precise)
 *   2. unpack a tile of residual levels and compute their dot products with all lanes
 *   3. combine them with the centroid scores and keep each lane's best
 *
 * float16 records are scored by one kernel alone. */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "../vectors/points.h"
#include "scores.h"
#include "tiles.h"

/* ---- precise scores: the query in sixteen bits, as two lanes of eight ---- */

enum {
  HALF = MV_LANES_MIN,  /* query tokens of a precise block: high parts, then low parts */
  RADIX = 254,          /* x = RADIX * high + low with both in -127..127 */
  LARGEST = 127 * RADIX /* of the sixteen-bit values */
};

typedef struct precise_block {
  size_t first; /* query token */
  size_t tokens;
  const int8_t *packed; /* [padded / 4][MV_LANES_MAX][4] */
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

/* Packs up to HALF query tokens from `first` on, in the space of a codec. */
static mv_status load_precise(mv_query *query, const mv_codec *codec, size_t first,
                              precise_block *block) {
  mv_status status = mv_query_enter(query, codec);
  if (status != MV_OK) return status;
  int8_t *packed = mv_query_reserve(query, MV_MEMORY_SCRATCH, query->padded, MV_LANES_MAX);
  if (packed == NULL) return MV_ERROR_MEMORY;
  memset(packed, 0, query->padded * MV_LANES_MAX);
  block->first = first;
  block->packed = packed;
  block->tokens = query->m - first < HALF ? query->m - first : HALF;
  for (size_t l = 0; l < block->tokens; l++) {
    const float *row = query->rotated + (first + l) * query->padded;
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
  int32_t dots[MV_TILE * MV_LANES_MAX];
  uint8_t *rows = query->levels;
  tile_scales(codec, doc, first, n, a, b);
  memset(out, 0, n * HALF * sizeof(*out));
  tile_dots(codec, tile_levels(codec, doc, first, n, rows), n, block->packed, MV_LANES_MAX,
            block->level_bias, dots);
  add_joined(dots, n, block, b, 1.0, out);
  take_centroids(codec, doc->codes + first * doc->code_bytes, doc->code_bytes, n, rows);
  mv_kernels_get()->dot8(rows, codec->padded, n, codec->padded, block->packed, MV_LANES_MAX,
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

/* A block of query tokens as loaded. */
typedef struct plain_block {
  mv_block span;
  const float *lanes; /* [dim][lanes] */
} plain_block;

static mv_status load_plain(mv_query *query, size_t index, plain_block *block) {
  const mv_block *span = &block->span;
  mv_query_span(query, index, &block->span);
  float *lanes =
      mv_query_reserve(query, MV_MEMORY_SCRATCH, query->dim * span->lanes, sizeof(float));
  if (lanes == NULL) return MV_ERROR_MEMORY;
  const float *plain = query->plain + span->first * query->dim;
  for (size_t d = 0; d < query->dim; d++) {
    for (size_t l = 0; l < span->lanes; l++) {
      lanes[d * span->lanes + l] = l < span->tokens ? plain[l * query->dim + d] : 0.0f;
    }
  }
  block->lanes = lanes;
  return MV_OK;
}

/* The best of each lane over n float16 rows. */
static void best_float16(const mv_query *query, const plain_block *block, const uint8_t *rows,
                         size_t n, float *best) {
  for (size_t l = 0; l < block->span.lanes; l++) best[l] = -FLT_MAX;
  mv_kernels_get()->maxsim_f16(rows, n, query->dim, block->lanes, block->span.lanes, best);
}

static float score_float16(const mv_query *query, const plain_block *block,
                           const mv_document *doc) {
  float best[MV_LANES_MAX], score = 0.0f;
  best_float16(query, block, doc->record, doc->n_tokens, best);
  for (size_t l = 0; l < block->span.tokens; l++) score += best[l];
  return score;
}

/* ---- public functions ---- */

/* Bytes of a record that are loaded ahead; the processor itself prefetches the rest of a longer
 * one, having seen the direction of the reads. */
enum { RECORD_AHEAD = 8192 };

static void load_record_ahead(const mv_segment *segments, const mv_place *place) {
  size_t bytes;
  const uint8_t *from = mv_record_find(&segments[place->segment], place->document, &bytes);
  mv_load_range_ahead(from, bytes < RECORD_AHEAD ? bytes : RECORD_AHEAD);
}

/* Scores the places whose segment has the given codec (NULL: float16), adding to scores. */
static mv_status score_codec(mv_query *query, const mv_segment *segments, const mv_codec *codec,
                             const mv_place *places, size_t n, int mode, float *scores) {
  const int precise = codec != NULL && mode == MV_SCORE_PRECISE;
  const size_t step = precise ? (size_t)HALF : (size_t)MV_LANES_MAX;
  for (size_t first = 0; first < query->m; first += step) {
    plain_block plain;
    precise_block exact;
    const mv_status status = precise         ? load_precise(query, codec, first, &exact)
                             : codec != NULL ? mv_table_make(query, codec, first / MV_LANES_MAX)
                                             : load_plain(query, first / MV_LANES_MAX, &plain);
    if (status != MV_OK) return status;
    if (codec != NULL && mode == MV_SCORE_PART && query->table.kind == MV_TABLE_PARTIAL) {
      mv_score_parts(query, segments, places, n, scores);
      continue;
    }
    for (size_t i = 0; i < n; i++) {
      const mv_segment *segment = &segments[places[i].segment];
      if (segment->codec != codec) continue;
      const mv_document doc = mv_document_find(segment, places[i].document);
      if (i + 1 < n) load_record_ahead(segments, &places[i + 1]);
      query->counts.tokens += doc.n_tokens;
      scores[i] += precise         ? (float)score_precise(query, codec, &exact, &doc)
                   : codec != NULL ? mv_score_fast(query, &doc)
                                   : score_float16(query, &plain, &doc);
    }
  }
  return MV_OK;
}

mv_status mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
                   const mv_place *places, size_t n, int mode, float *scores) {
  if (!mv_query_fits(query, segments, n_segments) ||
      !mv_places_fit(segments, n_segments, places, n))
    return MV_ERROR_ARGUMENT;
  for (size_t i = 0; i < n; i++) scores[i] = 0.0f;
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
    plain_block block;
    mv_status status = load_plain(query, index, &block);
    if (status != MV_OK) return status;
    for (size_t i = 0; i < doc->n_tokens; i++) {
      float best[MV_LANES_MAX];
      best_float16(query, &block, doc->record + i * mv_token_bytes(query->dim, 16), 1, best);
      for (size_t l = 0; l < block.span.tokens; l++) {
        matrix[(block.span.first + l) * doc->n_tokens + i] = best[l];
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
