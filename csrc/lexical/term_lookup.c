/* Terms of an index by name: one by one, all in a block, all with a prefix; and the checks of a
 * view and of a block. */
#include <string.h>

#include "../base/borders.h"
#include "term_block.h"

/* ---- checks ---- */

static int are_heads(const mv_terms *terms) {
  for (uint32_t b = 0; b < terms->n_blocks; b++) {
    const uint32_t *starts = terms->head_starts + b;
    const uint32_t size = starts[1] - starts[0];
    if (size > MV_MAX_TERM) return 0;
    if (b > 0 && mv_term_compare(terms->heads + starts[-1], starts[0] - starts[-1],
                                 terms->heads + starts[0], size) >= 0)
      return 0;
  }
  return 1;
}

mv_status mv_terms_check(const mv_terms *terms, const mv_terms_sizes *sizes) {
  const uint32_t blocks = terms->n_blocks, extents = terms->n_extents;
  if (terms->n_rows < 1 || terms->n_rows == UINT32_MAX || (blocks == 0) != (extents == 0))
    return MV_ERROR_CORRUPT;
  if (sizes->lengths != (terms->lengths != NULL ? terms->n_rows : 0)) return MV_ERROR_CORRUPT;
  if (sizes->block_starts != (size_t)blocks + 1 || sizes->extent_blocks != (size_t)extents + 1 ||
      sizes->head_starts != (size_t)blocks + 1)
    return MV_ERROR_CORRUPT;
  if (!mv_borders_rise(terms->block_starts, blocks) ||
      !mv_borders_rise(terms->extent_blocks, extents) ||
      !mv_borders_rise(terms->head_starts, blocks))
    return MV_ERROR_CORRUPT;
  if (terms->extent_blocks[extents] != blocks || terms->head_starts[blocks] != sizes->heads)
    return MV_ERROR_CORRUPT;
  for (uint32_t e = 0; e < extents; e++) {
    const uint32_t *first = terms->extent_blocks + e;
    const size_t size = terms->block_starts[first[1]] - terms->block_starts[first[0]];
    if (sizes->extents[e] != size + MV_TERMS_SLACK) return MV_ERROR_CORRUPT;
  }
  return are_heads(terms) ? MV_OK : MV_ERROR_CORRUPT;
}

/* Whether a posting of a run lies within its bounds. */
static int is_bound(const mv_term_bound bounds[2], uint16_t value, uint16_t length) {
  return (value <= bounds[0].value && length >= bounds[0].length) ||
         (value <= bounds[1].value && length >= bounds[1].length);
}

static mv_status check_postings(const mv_term_postings *list) {
  const uint16_t *lengths = list->terms->lengths;
  for (uint32_t run = 0; run < list->n_runs; run++) {
    uint32_t rows[MV_TERMS_RUN], n;
    uint16_t values[MV_TERMS_RUN];
    const mv_status status = mv_postings_read(list, run, rows, values, &n);
    if (status != MV_OK) return status;
    mv_term_bound bounds[2];
    if (list->n_runs > 1) mv_postings_bounds(list, run, bounds);
    for (uint32_t i = 0; i < n; i++) {
      const uint16_t length = lengths != NULL ? lengths[rows[i]] : 0;
      if (lengths != NULL && values[i] > length) return MV_ERROR_CORRUPT;
      if (list->n_runs > 1 && !is_bound(bounds, values[i], length)) return MV_ERROR_CORRUPT;
    }
  }
  return MV_OK;
}

mv_status mv_terms_check_block(const mv_terms *terms, uint32_t block) {
  mv_term_cursor cursor;
  mv_status status = mv_cursor_start(&cursor, terms, block);
  while (status == MV_OK && cursor.left > 0) {
    status = mv_cursor_next(&cursor);
    if (status == MV_OK) status = check_postings(&cursor.list);
  }
  if (status != MV_OK) return status;
  if (cursor.body != cursor.end) return MV_ERROR_CORRUPT;
  if (block + 1 == terms->n_blocks) return MV_OK;
  const uint32_t *starts = terms->head_starts + block + 1;
  const int order =
      mv_term_compare(cursor.term, cursor.size, terms->heads + starts[0], starts[1] - starts[0]);
  return order < 0 ? MV_OK : MV_ERROR_CORRUPT;
}

/* ---- by name ---- */

/* The first block whose head is above a term. */
static uint32_t first_above(const mv_terms *terms, const uint8_t *term, size_t size) {
  uint32_t low = 0, high = terms->n_blocks;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2, *starts = terms->head_starts + middle;
    if (mv_term_compare(terms->heads + starts[0], starts[1] - starts[0], term, size) <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void mv_terms_blocks(const mv_terms *terms, const mv_term_names *names, uint32_t *blocks) {
  for (size_t i = 0; i < names->n; i++) {
    const uint32_t *starts = names->starts + i;
    const uint32_t above = first_above(terms, names->bytes + starts[0], starts[1] - starts[0]);
    blocks[i] = above > 0 ? above - 1 : terms->n_blocks;
  }
}

void mv_terms_range(const mv_terms *terms, const uint8_t *prefix, size_t size, uint32_t *first,
                    uint32_t *last) {
  uint8_t behind[2 * MV_MAX_TERM]; /* above every term with the prefix */
  if (size > MV_MAX_TERM) {
    *first = *last = 0;
    return;
  }
  memcpy(behind, prefix, size);
  memset(behind + size, 0xff, MV_MAX_TERM);
  const uint32_t above = first_above(terms, prefix, size);
  *first = above > 0 ? above - 1 : 0;
  *last = first_above(terms, behind, size + MV_MAX_TERM);
}

mv_status mv_terms_find(const mv_terms *terms, const uint8_t *term, size_t size,
                        mv_term_postings *list, int *found) {
  const uint32_t above = first_above(terms, term, size);
  *found = 0;
  if (above == 0) return MV_OK;
  mv_term_cursor cursor;
  mv_status status = mv_cursor_start(&cursor, terms, above - 1);
  while (status == MV_OK && cursor.left > 0) {
    status = mv_cursor_next(&cursor);
    const int order = mv_term_compare(cursor.term, cursor.size, term, size);
    if (status != MV_OK || order > 0) break;
    if (order < 0) continue;
    *list = cursor.list;
    *found = 1;
    break;
  }
  return status;
}

mv_status mv_terms_frequencies(const mv_terms *terms, const mv_term_names *names,
                               uint32_t *counts) {
  for (size_t i = 0; i < names->n; i++) {
    const uint32_t *starts = names->starts + i;
    mv_term_postings list;
    int found;
    const mv_status status =
        mv_terms_find(terms, names->bytes + starts[0], starts[1] - starts[0], &list, &found);
    if (status != MV_OK) return status;
    counts[i] = found ? list.n : 0;
  }
  return MV_OK;
}

mv_status mv_terms_list(const mv_terms *terms, uint32_t block, uint8_t *names, uint8_t *sizes,
                        uint32_t *counts, size_t *n) {
  mv_term_cursor cursor;
  *n = 0;
  mv_status status = mv_cursor_start(&cursor, terms, block);
  while (status == MV_OK && cursor.left > 0) {
    status = mv_cursor_next(&cursor);
    if (status != MV_OK) break;
    memcpy(names + *n * MV_MAX_TERM, cursor.term, cursor.size);
    sizes[*n] = (uint8_t)cursor.size;
    counts[(*n)++] = cursor.list.n;
  }
  return status;
}
