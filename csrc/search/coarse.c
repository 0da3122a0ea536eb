/* Candidates by codes: centroid interaction of the query with the codes of documents.
 *
 *   1. make the table of a block of query tokens and a codec
 *   2. for each document take the best table byte of each token over its codes, and sum
 *   3. add the sums of all blocks; keep the best documents */
#include <string.h>

#include "../base/ahead.h"
#include "../kernels/centroid_code.h"
#include "../ranking/topk.h"
#include "../segment/segment.h"
#include "query.h"
#include "stages.h"

enum { AHEAD = 12 /* documents between the one that is loaded ahead and the one that is read */ };

static float interaction(const mv_table *table, const mv_document *document) {
  uint8_t best[MV_LANES_MAX];
  mv_kernels_get()->interact(document->codes, document->n_tokens, document->code_bytes,
                             table->row_of, table->row_of_bytes, table->rows8, table->block.lanes,
                             best);
  uint32_t sum = 0;
  for (size_t l = 0; l < table->block.lanes; l++) sum += best[l];
  return table->coarse_offset + table->coarse_step * (float)sum;
}

static int takes_part(const mv_segment *segments, const uint8_t *chosen, size_t s) {
  return segments[s].codec != NULL && chosen[s];
}

/* Adds a block's scores of one segment's documents to scores[]. */
static void add_segment(const mv_table *table, const mv_segment *segment, const uint8_t *allowed,
                        float *scores) {
  for (uint32_t i = 0; i < segment->n_documents; i++) {
    if (!mv_is_allowed(allowed, i)) continue;
    mv_document document = mv_document_find(segment, i);
    scores[i] += interaction(table, &document);
  }
}

mv_status mv_coarse(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *chosen, const uint8_t *const *allowed, size_t limit,
                    mv_place *places, float *scores, size_t *count) {
  if (!mv_query_fits(query, segments, n_segments)) return MV_ERROR_ARGUMENT;
  size_t n = mv_documents_in(segments, n_segments, NULL);
  float *sums = mv_query_reserve(query, MV_MEMORY_SCRATCH, n, sizeof(float));
  if (sums == NULL) return MV_ERROR_MEMORY;
  memset(sums, 0, n * sizeof(float));
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    float *segment_sums = sums;
    for (size_t s = 0; s < n_segments; s++) {
      if (takes_part(segments, chosen, s)) {
        mv_status status = mv_table_make(query, segments[s].codec, index);
        if (status != MV_OK) return status;
        add_segment(query->table, &segments[s], allowed[s], segment_sums);
      }
      segment_sums += segments[s].n_documents;
    }
  }
  mv_topk top = {places, scores, limit, 0};
  for (size_t s = 0; s < n_segments; s++) {
    for (uint32_t i = 0; takes_part(segments, chosen, s) && i < segments[s].n_documents; i++) {
      if (mv_is_allowed(allowed[s], i)) mv_topk_offer(&top, (mv_place){(uint32_t)s, i}, sums[i]);
    }
    sums += segments[s].n_documents;
  }
  mv_topk_sort(&top);
  *count = top.count;
  return MV_OK;
}

/* Adds a block's scores of the documents whose segment has the table's codec. */
static void add_documents(const mv_table *table, const mv_segment *segments, const mv_place *places,
                          const mv_document *documents, size_t n, float *scores) {
  for (size_t i = 0; i < n; i++) {
    if (i + AHEAD < n) {
      const mv_document *later = &documents[i + AHEAD];
      mv_load_range_ahead(later->codes, later->n_tokens * later->code_bytes);
    }
    if (segments[places[i].segment].codec != table->codec) continue;
    scores[i] += interaction(table, &documents[i]);
  }
}

mv_status mv_interact(mv_query *query, const mv_segment *segments, size_t n_segments,
                      const mv_place *places, size_t n, float *scores) {
  if (!mv_query_fits(query, segments, n_segments) ||
      !mv_places_fit(segments, n_segments, places, n))
    return MV_ERROR_ARGUMENT;
  mv_document *documents = mv_query_reserve(query, MV_MEMORY_SCRATCH, n, sizeof(mv_document));
  if (documents == NULL) return MV_ERROR_MEMORY;
  for (size_t i = 0; i < n; i++) {
    if (i + AHEAD < n) {
      const mv_place later = places[i + AHEAD];
      mv_load_ahead(&segments[later.segment].starts[later.document]);
    }
    const mv_segment *segment = &segments[places[i].segment];
    if (segment->codec == NULL) return MV_ERROR_ARGUMENT;
    documents[i] = mv_document_find(segment, places[i].document);
    scores[i] = 0.0f;
  }
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    for (size_t s = 0; s < n_segments; s++) {
      if (segments[s].codec == NULL || mv_codec_seen(segments, s)) continue;
      mv_status status = mv_table_make(query, segments[s].codec, index);
      if (status != MV_OK) return status;
      add_documents(query->table, segments, places, documents, n, scores);
    }
  }
  return MV_OK;
}
