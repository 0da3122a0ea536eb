/* The coarse stage: centroid interaction over the codes of every allowed document. */
#include <string.h>

#include "query.h"
#include "topk.h"

static size_t count_documents(const mv_segment *segments, size_t n_segments) {
  size_t n = 0;
  for (size_t s = 0; s < n_segments; s++) n += segments[s].n_documents;
  return n;
}

static int is_allowed(const uint8_t *bitmap, uint32_t document) {
  return bitmap == NULL || (bitmap[document / 8] >> (document % 8) & 1) != 0;
}

/* Adds a block's scores of one segment's documents to scores[]. */
static void add_segment(const mv_query *query, const mv_segment *segment, const mv_block *block,
                        const uint8_t *allowed, float *scores) {
  const mv_kernels *kernels = mv_kernels_get();
  size_t code_bytes = segment->codec->code_bytes;
  for (uint32_t c = 0; c < segment->n_chunks; c++) {
    uint32_t chunk_start = segment->starts[segment->chunk_documents[c]];
    for (uint32_t i = segment->chunk_documents[c]; i < segment->chunk_documents[c + 1]; i++) {
      if (!is_allowed(allowed, i)) continue;
      const uint8_t *codes =
          segment->codes[c] + (size_t)(segment->starts[i] - chunk_start) * code_bytes;
      uint8_t best[MV_LANES_MAX];
      kernels->interact(codes, segment->starts[i + 1] - segment->starts[i], code_bytes,
                        query->table8.data, block->lanes, best);
      uint32_t sum = 0;
      for (size_t l = 0; l < block->lanes; l++) sum += best[l];
      scores[i] += query->coarse_offset + query->coarse_step * (float)sum;
    }
  }
}

mv_status mv_coarse(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *const *allowed, size_t limit, mv_place *places, float *scores,
                    size_t *count) {
  if (!mv_query_fits(query, segments, n_segments)) return MV_ERROR_ARGUMENT;
  size_t n = count_documents(segments, n_segments);
  float *sums = mv_buffer_reserve(&query->sums, n, sizeof(float));
  if (sums == NULL) return MV_ERROR_MEMORY;
  memset(sums, 0, n * sizeof(float));
  for (size_t index = 0; index < mv_query_blocks(query); index++) {
    mv_block block;
    mv_query_block(query, index, &block);
    float *segment_sums = sums;
    for (size_t s = 0; s < n_segments; s++) {
      if (segments[s].codec != NULL) {
        mv_status status = mv_query_tables(query, segments[s].codec, index);
        if (status != MV_OK) return status;
        add_segment(query, &segments[s], &block, allowed[s], segment_sums);
      }
      segment_sums += segments[s].n_documents;
    }
  }
  mv_topk top = {places, scores, limit, 0};
  for (size_t s = 0; s < n_segments; s++) {
    for (uint32_t i = 0; segments[s].codec != NULL && i < segments[s].n_documents; i++) {
      if (is_allowed(allowed[s], i)) mv_topk_offer(&top, (mv_place){(uint32_t)s, i}, sums[i]);
    }
    sums += segments[s].n_documents;
  }
  mv_topk_sort(&top);
  *count = top.count;
  return MV_OK;
}
