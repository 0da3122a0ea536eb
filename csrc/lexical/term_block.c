#include "term_block.h"

#include <string.h>

#include "../base/bits.h"
#include "../base/borders.h"
#include "../base/varint.h"
#include "posting_run.h"

enum { SKIP_BYTES = 4 + 4 + MV_BOUND_BYTES };

int mv_term_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
  const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
  return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* ---- postings ---- */

static const uint8_t *skip_of(const mv_term_postings *list, uint32_t run) {
  return list->skips + (size_t)run * SKIP_BYTES;
}

uint32_t mv_postings_last(const mv_term_postings *list, uint32_t run) {
  return list->skips == NULL ? list->terms->n_rows - 1 : mv_read_u32(skip_of(list, run));
}

uint32_t mv_postings_find(const mv_term_postings *list, uint32_t run, uint32_t row) {
  uint32_t step = 1, low = run; /* all runs before `low` end before the row */
  while (low < list->n_runs && mv_postings_last(list, low) < row) {
    run = low + 1;
    low = list->n_runs - low > step ? low + step : list->n_runs;
    step *= 2;
  }
  while (run < low) {
    const uint32_t middle = run + (low - run) / 2;
    if (mv_postings_last(list, middle) < row) {
      run = middle + 1;
    } else {
      low = middle;
    }
  }
  return low;
}

mv_status mv_postings_read(const mv_term_postings *list, uint32_t run, uint32_t *rows,
                           uint16_t *values, uint32_t *n) {
  const int is_only = list->skips == NULL, is_last = run + 1 == list->n_runs;
  const uint32_t begin = is_only || run == 0 ? 0 : mv_read_u32(skip_of(list, run - 1) + 4);
  const uint32_t end = is_only ? list->size : mv_read_u32(skip_of(list, run) + 4);
  const uint32_t before = is_only || run == 0 ? UINT32_MAX : mv_postings_last(list, run - 1);
  if (begin > end || end > list->size || (is_last && end != list->size)) return MV_ERROR_CORRUPT;
  if (before != UINT32_MAX && before >= list->terms->n_rows) return MV_ERROR_CORRUPT;
  *n = is_last ? list->n - run * MV_TERMS_RUN : MV_TERMS_RUN;
  const mv_status status = mv_run_read(list->runs + begin, end - begin, *n, before + 1,
                                       list->terms->n_rows, rows, values);
  if (status != MV_OK) return status;
  if (!is_only && rows[*n - 1] != mv_postings_last(list, run)) return MV_ERROR_CORRUPT;
  if (list->terms->lengths != NULL) return MV_OK;
  for (uint32_t i = 0; i < *n; i++) {
    if (values[i] > MV_MOST_WEIGHT_VALUE) return MV_ERROR_CORRUPT;
  }
  return MV_OK;
}

void mv_postings_bounds(const mv_term_postings *list, uint32_t run, mv_term_bound bounds[2]) {
  mv_bounds_read(skip_of(list, run) + 8, list->terms->lengths != NULL, bounds);
}

/* The postings in a body of `size` bytes. */
static mv_status open_postings(const mv_terms *terms, uint32_t n, const uint8_t *body, size_t size,
                               mv_term_postings *out) {
  if (n < 1 || n > terms->n_rows) return MV_ERROR_CORRUPT;
  const uint32_t n_runs = (n - 1) / MV_TERMS_RUN + 1;
  const size_t skips = n_runs > 1 ? (size_t)n_runs * SKIP_BYTES : 0;
  if (skips > size) return MV_ERROR_CORRUPT;
  out->terms = terms;
  out->n = n;
  out->n_runs = n_runs;
  out->skips = n_runs > 1 ? body : NULL;
  out->runs = body + skips;
  out->size = (uint32_t)(size - skips);
  return MV_OK;
}

/* ---- terms of a block ---- */

static const uint8_t *block_of(const mv_terms *terms, uint32_t block, size_t *size) {
  const uint32_t extent = mv_part_of(terms->extent_blocks, terms->n_extents, block);
  *size = terms->block_starts[block + 1] - terms->block_starts[block];
  return terms->extents[extent] +
         (terms->block_starts[block] - terms->block_starts[terms->extent_blocks[extent]]);
}

/* Numbers of an entry: its name is at *name. */
typedef struct entry {
  uint32_t shared, added, n, bytes;
  const uint8_t *name;
} entry;

static int read_half(const uint8_t **at, const uint8_t *end, unsigned half, uint32_t *size) {
  *size = half;
  if (half < MV_HALF) return 1;
  if (*at == end) return 0;
  *size = *(*at)++;
  return 1;
}

/* The entry at *at; the first one of a block has no name. */
static int read_entry(const uint8_t **at, const uint8_t *end, int is_first, entry *out) {
  out->shared = out->added = 0;
  if (!is_first) {
    if (*at == end) return 0;
    const uint8_t ends = *(*at)++;
    if (!read_half(at, end, ends >> 4, &out->shared)) return 0;
    if (!read_half(at, end, ends & MV_HALF, &out->added)) return 0;
    if (out->added < 1 || out->shared + out->added > MV_MAX_TERM) return 0;
    if ((size_t)(end - *at) < out->added) return 0;
  }
  out->name = *at;
  *at += out->added;
  return mv_varint_read(at, end, &out->n) && mv_varint_read(at, end, &out->bytes);
}

mv_status mv_cursor_start(mv_term_cursor *cursor, const mv_terms *terms, uint32_t block) {
  size_t size;
  const uint8_t *at = block_of(terms, block, &size), *end = at + size;
  cursor->terms = terms;
  cursor->block = block;
  cursor->size = 0;
  cursor->end = end;
  if (!mv_varint_read(&at, end, &cursor->left)) return MV_ERROR_CORRUPT;
  if (cursor->left < 1 || cursor->left > MV_TERMS_BLOCK) return MV_ERROR_CORRUPT;
  cursor->entry = at;
  entry one;
  for (uint32_t i = 0; i < cursor->left; i++) {
    if (!read_entry(&at, end, i == 0, &one)) return MV_ERROR_CORRUPT;
  }
  cursor->entries_end = cursor->body = at;
  return MV_OK;
}

/* Puts the present term's name together; 0 unless it is above the one before. */
static int set_name(mv_term_cursor *cursor, const entry *one) {
  if (cursor->size == 0) {
    const uint32_t *starts = cursor->terms->head_starts + cursor->block;
    cursor->size = starts[1] - starts[0];
    memcpy(cursor->term, cursor->terms->heads + starts[0], cursor->size);
    return 1;
  }
  if (one->shared > cursor->size) return 0;
  if (one->shared < cursor->size && one->name[0] <= cursor->term[one->shared]) return 0;
  memcpy(cursor->term + one->shared, one->name, one->added);
  cursor->size = one->shared + one->added;
  return 1;
}

mv_status mv_cursor_next(mv_term_cursor *cursor) {
  entry one;
  if (!read_entry(&cursor->entry, cursor->entries_end, cursor->size == 0, &one))
    return MV_ERROR_CORRUPT;
  if (!set_name(cursor, &one) || one.bytes > (size_t)(cursor->end - cursor->body))
    return MV_ERROR_CORRUPT;
  const uint8_t *body = cursor->body;
  cursor->body += one.bytes;
  cursor->left--;
  return open_postings(cursor->terms, one.n, body, one.bytes, &cursor->list);
}
