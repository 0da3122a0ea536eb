/* The fine stage: MaxSim over the stored vectors of given documents. A document's score is the sum
 * over query tokens of the best a * (centroid score) + b * (residual dot product) of its tokens: by
 * the query in int8 (part_score.c, fast_score.c), or more precisely (precise_score.c). float16
 * records are scored by one kernel alone. */
#include <float.h>
#include <string.h>

#include "../base/ahead.h"
#include "scores.h"

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

/* The part of a document by the tokens of the table's block; NULL if there is none. */
static const float *part_of(const mv_query *query, const mv_parts *parts, mv_place place) {
  for (size_t i = 0; i < parts->n; i++) {
    if (parts->places[i].segment != place.segment || parts->places[i].document != place.document)
      continue;
    return parts->best + i * query->m + query->table->block.first;
  }
  return NULL;
}

/* Scores the places whose segment has the given codec (NULL: float16), adding to scores. */
static mv_status score_codec(mv_query *query, const mv_segment *segments, const mv_codec *codec,
                             const mv_place *places, size_t n, int mode, const mv_parts *parts,
                             float *scores) {
  const int precise = codec != NULL && mode == MV_SCORE_PRECISE;
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    plain_block plain;
    mv_precise exact;
    const mv_status status = precise         ? mv_precise_load(query, codec, index, &exact)
                             : codec != NULL ? mv_table_make(query, codec, index)
                                             : load_plain(query, index, &plain);
    if (status != MV_OK) return status;
    const int is_partial = codec != NULL && !precise && query->table->kind == MV_TABLE_PARTIAL;
    if (mode == MV_SCORE_PART && is_partial) {
      mv_score_parts(query, segments, places, n, parts, scores);
      continue;
    }
    for (size_t i = 0; i < n; i++) {
      const mv_segment *segment = &segments[places[i].segment];
      if (segment->codec != codec) continue;
      const mv_document doc = mv_document_find(segment, places[i].document);
      if (i + 1 < n) load_record_ahead(segments, &places[i + 1]);
      const float *part = is_partial ? part_of(query, parts, places[i]) : NULL;
      if (part == NULL) query->counts.tokens += doc.n_tokens;
      if (precise) {
        mv_score_precise(query, &exact, &doc, &scores[i]);
      } else {
        scores[i] += part != NULL    ? mv_score_rest(query, &doc, part)
                     : codec != NULL ? mv_score_fast(query, &doc)
                                     : score_float16(query, &plain, &doc);
      }
    }
  }
  return MV_OK;
}

mv_status mv_score_with(mv_query *query, const mv_segment *segments, size_t n_segments,
                        const mv_place *places, size_t n, int mode, const mv_parts *parts,
                        float *scores) {
  if (!mv_query_fits(query, segments, n_segments) ||
      !mv_places_fit(segments, n_segments, places, n))
    return MV_ERROR_ARGUMENT;
  for (size_t i = 0; i < n; i++) scores[i] = 0.0f;
  for (size_t s = 0; s < n_segments; s++) {
    if (mv_codec_seen(segments, s)) continue;
    const mv_codec *codec = segments[s].codec;
    mv_status status = score_codec(query, segments, codec, places, n, mode, parts, scores);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

mv_status mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
                   const mv_place *places, size_t n, int mode, float *scores) {
  const mv_parts none = {NULL, NULL, 0};
  return mv_score_with(query, segments, n_segments, places, n, mode, &none, scores);
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
  return segment->codec != NULL ? mv_explain_precise(query, segment->codec, &doc, matrix)
                                : explain_float16(query, &doc, matrix);
}
