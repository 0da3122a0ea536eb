#include "packing.h"

#include <stdlib.h>
#include <string.h>

#include "../base/random.h"
#include "../postings/lists.h"

/* Cuts a stream of blocks into extents of about equally many, each with its slack. */
static void cut(packing *out, const uint8_t *stream, uint32_t n_blocks, uint32_t n_extents) {
  out->extent_blocks = room((size_t)n_extents + 1, sizeof(uint32_t));
  out->extents = room(n_extents, sizeof *out->extents);
  out->extent_sizes = room(n_extents, sizeof(size_t));
  for (uint32_t e = 0; e <= n_extents; e++) {
    out->extent_blocks[e] = (uint32_t)((uint64_t)n_blocks * e / n_extents);
  }
  for (uint32_t e = 0; e < n_extents; e++) {
    const size_t begin = out->block_starts[out->extent_blocks[e]];
    const size_t size = out->block_starts[out->extent_blocks[e + 1]] - begin;
    out->extent_sizes[e] = size + MV_LISTS_SLACK;
    out->extents[e] = room(out->extent_sizes[e], 1);
    memcpy(out->extents[e], stream + begin, size);
    memset(out->extents[e] + size, 0xa5, MV_LISTS_SLACK);
  }
}

void packing_build(packing *out, const uint32_t *counts, const uint32_t *documents,
                   uint32_t n_lists, uint32_t n_extents) {
  const uint32_t n_blocks = (n_lists + MV_LISTS_BLOCK - 1) / MV_LISTS_BLOCK;
  uint8_t *stream = room(mv_lists_bound(counts, n_lists), 1);
  uint32_t *sizes = room(n_blocks, sizeof *sizes);
  size_t size;
  MUST(mv_lists_pack(counts, documents, n_lists, stream, sizes, &size) == MV_OK);
  MUST(size <= mv_lists_bound(counts, n_lists));
  out->block_starts = room((size_t)n_blocks + 1, sizeof(uint32_t));
  out->block_starts[0] = 0;
  for (uint32_t b = 0; b < n_blocks; b++) {
    out->block_starts[b + 1] = out->block_starts[b] + sizes[b];
  }
  MUST(out->block_starts[n_blocks] == size);
  n_extents = n_extents < n_blocks ? n_extents : n_blocks;
  cut(out, stream, n_blocks, n_extents);
  out->view = (mv_lists){n_lists,
                         n_extents,
                         out->block_starts,
                         out->extent_blocks,
                         (const uint8_t *const *)out->extents,
                         NULL};
  out->n_block_starts = (size_t)n_blocks + 1;
  out->n_extent_blocks = (size_t)n_extents + 1;
  MUST(mv_lists_check(&out->view, out->n_block_starts, out->n_extent_blocks, out->extent_sizes) ==
       MV_OK);
  free(stream);
  free(sizes);
}

/* Collects in two parts, the border inside a block where there is more than one list. */
void packing_of_codes(packing *out, const uint8_t *codes, size_t code_bytes, const uint32_t *starts,
                      uint32_t n_documents, uint32_t n_lists, uint32_t n_extents) {
  const uint32_t border = n_lists / 2;
  const size_t size = starts[n_documents] * code_bytes;
  uint32_t *counts = room(n_lists, sizeof *counts);
  MUST(mv_lists_count(codes, size, code_bytes, starts, n_documents, n_lists, counts) == MV_OK);
  size_t total = 0, before = 0;
  for (uint32_t c = 0; c < n_lists; c++) {
    if (c == border) before = total;
    total += counts[c];
  }
  uint32_t *documents = room(total, sizeof *documents);
  MUST(mv_lists_collect(codes, size, code_bytes, starts, n_documents, 0, border, counts, documents,
                        before) == MV_OK);
  MUST(mv_lists_collect(codes, size, code_bytes, starts, n_documents, border, n_lists, counts,
                        documents + before, total - before) == MV_OK);
  packing_build(out, counts, documents, n_lists, n_extents);
  free(counts);
  free(documents);
}

void packing_free(packing *used) {
  for (uint32_t e = 0; e < used->view.n_extents; e++) free(used->extents[e]);
  free(used->block_starts);
  free(used->extent_blocks);
  free(used->extents);
  free(used->extent_sizes);
}

uint8_t *codes_of(const uint32_t *numbers, size_t n, size_t code_bytes) {
  uint8_t *codes = room(n, code_bytes);
  for (size_t i = 0; i < n * code_bytes; i++) {
    codes[i] = (uint8_t)(numbers[i / code_bytes] >> 8 * (i % code_bytes) & 255);
  }
  return codes;
}

void coded_draw(coded *out, uint64_t *seed, uint32_t n_documents, uint32_t n_lists,
                size_t code_bytes, uint32_t longest) {
  out->n_documents = n_documents;
  out->n_lists = n_lists;
  out->code_bytes = code_bytes;
  out->starts = room((size_t)n_documents + 1, sizeof(uint32_t));
  out->starts[0] = 0;
  for (uint32_t i = 0; i < n_documents; i++) {
    out->starts[i + 1] = out->starts[i] + 1 + (uint32_t)mv_random_below(seed, longest);
  }
  out->numbers = room(out->starts[n_documents], sizeof(uint32_t));
  for (uint32_t t = 0; t < out->starts[n_documents]; t++) {
    const double x = draw_uniform(seed);
    out->numbers[t] = (uint32_t)((double)n_lists * x * x * x);
  }
  out->codes = codes_of(out->numbers, out->starts[n_documents], code_bytes);
}

void coded_free(coded *used) {
  free(used->starts);
  free(used->numbers);
  free(used->codes);
}

uint32_t read_list(const mv_lists *lists, uint32_t number, uint32_t n_documents,
                   uint32_t *documents, size_t most) {
  mv_list list;
  uint32_t last = UINT32_MAX, n = 0, previous = 0;
  mv_status status = mv_list_find(lists, number, &list);
  while (status == MV_OK && list.n > 0) {
    uint32_t run[MV_LISTS_RUN];
    size_t count = 0;
    status = mv_list_run(&list, &last, n_documents, run, &count);
    if (status != MV_OK) break;
    MUST(count >= 1 && count <= MV_LISTS_RUN);
    MUST(run[count - 1] == last);
    for (size_t i = 0; i < count; i++, n++) {
      MUST((n == 0 || run[i] > previous) && run[i] < n_documents);
      previous = run[i];
      if (n < most) documents[n] = run[i];
    }
  }
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  return status == MV_OK ? n : UINT32_MAX;
}
