/* Reading of inverted lists: untrusted bytes, every length checked before use. */
#include "lists.h"

#include "../base/bits.h"
#include "../base/borders.h"
#include "../base/varint.h"
#include "../kernels/kernels.h"

mv_status mv_lists_check(const mv_lists *lists, size_t n_block_starts, size_t n_extent_blocks,
                         const size_t *extent_sizes) {
  if (lists->n_lists < 1 || lists->n_lists > MV_MAX_CENTROIDS || lists->n_extents < 1)
    return MV_ERROR_CORRUPT;
  uint32_t blocks = (lists->n_lists + MV_LISTS_BLOCK - 1) / MV_LISTS_BLOCK;
  if (n_block_starts != (size_t)blocks + 1 || n_extent_blocks != (size_t)lists->n_extents + 1)
    return MV_ERROR_CORRUPT;
  const uint32_t *extents = lists->extent_blocks;
  if (!mv_borders_rise(lists->block_starts, blocks) ||
      !mv_borders_rise(extents, lists->n_extents) || extents[lists->n_extents] != blocks)
    return MV_ERROR_CORRUPT;
  for (uint32_t e = 0; e < lists->n_extents; e++) {
    size_t size = lists->block_starts[extents[e + 1]] - lists->block_starts[extents[e]];
    if (extent_sizes[e] != size + MV_LISTS_SLACK) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

const uint8_t *mv_lists_block(const mv_lists *lists, uint32_t block, size_t *size) {
  const uint32_t extent = mv_part_of(lists->extent_blocks, lists->n_extents, block);
  *size = lists->block_starts[block + 1] - lists->block_starts[block];
  return lists->extents[extent] +
         (lists->block_starts[block] - lists->block_starts[lists->extent_blocks[extent]]);
}

mv_status mv_list_find(const mv_lists *lists, uint32_t centroid, mv_list *out) {
  uint32_t block = centroid / MV_LISTS_BLOCK, wanted = centroid % MV_LISTS_BLOCK;
  uint32_t inside = lists->n_lists - block * MV_LISTS_BLOCK;
  if (inside > MV_LISTS_BLOCK) inside = MV_LISTS_BLOCK;
  size_t size;
  const uint8_t *at = mv_lists_block(lists, block, &size);
  const uint8_t *end = at + size;
  size_t skipped = 0;
  uint32_t n = 0, bytes = 0;
  for (uint32_t i = 0; i < inside; i++) {
    uint32_t count, length;
    if (!mv_varint_read(&at, end, &count) || !mv_varint_read(&at, end, &length))
      return MV_ERROR_CORRUPT;
    if (i < wanted) skipped += length;
    if (i == wanted) {
      n = count;
      bytes = length;
    }
  }
  if (skipped > (size_t)(end - at) || bytes > (size_t)(end - at) - skipped) return MV_ERROR_CORRUPT;
  out->n = n;
  out->body = at + skipped;
  out->end = out->body + bytes;
  return MV_OK;
}

mv_status mv_list_run(mv_list *list, uint32_t *last, uint32_t n_documents, uint32_t *documents,
                      size_t *count) {
  size_t n = list->n < MV_LISTS_RUN ? list->n : MV_LISTS_RUN;
  if (list->body == list->end) return MV_ERROR_CORRUPT;
  unsigned width = *list->body++;
  if (width > 32) return MV_ERROR_CORRUPT;
  size_t bytes = mv_bits_bytes(n, width);
  if (bytes > (size_t)(list->end - list->body)) return MV_ERROR_CORRUPT;
  const uint64_t first = *last == UINT32_MAX ? 0 : (uint64_t)*last + 1;
  const uint64_t next = mv_kernels_get()->ascend(list->body, n, width, first, documents);
  /* As documents ascend, the last one bounds them all. */
  if (next > n_documents) return MV_ERROR_CORRUPT;
  *last = (uint32_t)next - 1;
  list->body += bytes;
  list->n -= (uint32_t)n;
  *count = n;
  return MV_OK;
}
