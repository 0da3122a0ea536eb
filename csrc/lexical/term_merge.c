/* Several indexes made one: a heap of their readers by term; the postings of a term go to the
 * output run by run, under their new rows. In memory is one list, packed. */
#include <string.h>

#include "term_block.h"
#include "term_output.h"

typedef struct source {
  const uint32_t *map;
  uint32_t *ranks; /* [rows + 1], how many rows before each are kept */
  mv_term_cursor cursor;
  uint32_t number;
} source;

struct mv_term_merge {
  source *sources;
  source **heap;         /* the least term first, ties by number */
  size_t n_sources;      /* whose ranks are freed */
  size_t n_open;         /* sources with terms left */
  uint32_t n_rows, next; /* next: the row behind the last one of the open list */
  mv_term_output output;
};

static int is_less(const source *a, const source *b) {
  const int order = mv_term_compare(a->cursor.term, a->cursor.size, b->cursor.term, b->cursor.size);
  return order != 0 ? order < 0 : a->number < b->number;
}

static void sift_down(mv_term_merge *merge, size_t at) {
  source *moved = merge->heap[at];
  for (size_t child = 2 * at + 1; child < merge->n_open; child = 2 * at + 1) {
    if (child + 1 < merge->n_open && is_less(merge->heap[child + 1], merge->heap[child])) child++;
    if (!is_less(merge->heap[child], moved)) break;
    merge->heap[at] = merge->heap[child];
    at = child;
  }
  merge->heap[at] = moved;
}

/* Goes to the next term; *more is 0 at the end of the index. Terms ascend over blocks, too. */
static mv_status advance(source *one, int *more) {
  mv_term_cursor *cursor = &one->cursor;
  *more = 1;
  if (cursor->left > 0) return mv_cursor_next(cursor);
  if (cursor->block + 1 == cursor->terms->n_blocks) {
    *more = 0;
    return MV_OK;
  }
  uint8_t before[MV_MAX_TERM];
  const uint32_t size = cursor->size;
  memcpy(before, cursor->term, size);
  mv_status status = mv_cursor_start(cursor, cursor->terms, cursor->block + 1);
  if (status == MV_OK) status = mv_cursor_next(cursor);
  if (status != MV_OK) return status;
  return mv_term_compare(before, size, cursor->term, cursor->size) < 0 ? MV_OK : MV_ERROR_CORRUPT;
}

/* Counts the kept rows of a source, so that runs without any are passed over. */
static mv_status rank_rows(source *one, const uint32_t *map, uint32_t n_rows) {
  one->map = map;
  one->ranks = mv_alloc((size_t)n_rows + 1, sizeof *one->ranks);
  if (one->ranks == NULL) return MV_ERROR_MEMORY;
  uint32_t rank = 0;
  for (uint32_t row = 0; row < n_rows; row++) {
    one->ranks[row] = rank;
    rank += map[row] != (uint32_t)MV_NO_ROW;
  }
  one->ranks[n_rows] = rank;
  return MV_OK;
}

static mv_status open_sources(mv_term_merge *merge, const mv_terms *const *terms,
                              const uint32_t *const *maps, size_t n) {
  for (size_t i = 0; i < n; i++) {
    source *one = &merge->sources[i];
    one->number = (uint32_t)i;
    if (terms[i]->n_blocks == 0) continue;
    mv_status status = rank_rows(one, maps[i], terms[i]->n_rows);
    if (status == MV_OK) status = mv_cursor_start(&one->cursor, terms[i], 0);
    if (status == MV_OK) status = mv_cursor_next(&one->cursor);
    if (status != MV_OK) return status;
    merge->heap[merge->n_open++] = one;
  }
  for (size_t at = merge->n_open / 2; at-- > 0;) sift_down(merge, at);
  return MV_OK;
}

mv_status mv_term_merge_new(const mv_terms *const *terms, const uint32_t *const *maps, size_t n,
                            const uint16_t *lengths, uint32_t n_rows, mv_term_merge **out) {
  for (size_t i = 0; i < n; i++) {
    if ((terms[i]->lengths == NULL) != (lengths == NULL)) return MV_ERROR_ARGUMENT;
  }
  mv_term_merge *merge = mv_alloc(1, sizeof *merge);
  if (merge == NULL) return MV_ERROR_MEMORY;
  memset(merge, 0, sizeof *merge);
  mv_output_init(&merge->output, lengths, n_rows);
  merge->n_rows = n_rows;
  merge->sources = mv_alloc(n, sizeof *merge->sources);
  merge->heap = mv_alloc(n, sizeof *merge->heap);
  mv_status status = MV_ERROR_MEMORY;
  if (merge->sources != NULL && merge->heap != NULL) {
    merge->n_sources = n;
    memset(merge->sources, 0, n * sizeof *merge->sources);
    status = open_sources(merge, terms, maps, n);
  }
  if (status != MV_OK) {
    mv_term_merge_free(merge);
    return status;
  }
  *out = merge;
  return MV_OK;
}

void mv_term_merge_free(mv_term_merge *merge) {
  if (merge == NULL) return;
  for (size_t i = 0; i < merge->n_sources; i++) mv_free(merge->sources[i].ranks);
  mv_free(merge->sources);
  mv_free(merge->heap);
  mv_output_free(&merge->output);
  mv_free(merge);
}

/* Puts the present postings of a source out under their new rows. */
static mv_status copy_list(mv_term_merge *merge, const source *one) {
  const mv_term_postings *list = &one->cursor.list;
  for (uint32_t run = 0, first = 0; run < list->n_runs; run++) {
    const uint32_t last = mv_postings_last(list, run);
    if (last < first || last >= list->terms->n_rows) return MV_ERROR_CORRUPT;
    const uint32_t before = one->ranks[first];
    first = last + 1;
    if (one->ranks[first] == before) continue;
    uint32_t rows[MV_TERMS_RUN], n, kept = 0;
    uint16_t values[MV_TERMS_RUN];
    mv_status status = mv_postings_read(list, run, rows, values, &n);
    if (status != MV_OK) return status;
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t row = one->map[rows[i]];
      if (row == (uint32_t)MV_NO_ROW) continue;
      if (row < merge->next || row >= merge->n_rows) return MV_ERROR_ARGUMENT;
      merge->next = row + 1;
      rows[kept] = row;
      values[kept++] = values[i];
    }
    status = mv_output_postings(&merge->output, rows, values, kept);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

/* Puts the least term of all sources out. */
static mv_status put_term(mv_term_merge *merge) {
  uint8_t term[MV_MAX_TERM];
  const size_t size = merge->heap[0]->cursor.size;
  memcpy(term, merge->heap[0]->cursor.term, size);
  merge->next = 0;
  while (merge->n_open > 0) {
    source *one = merge->heap[0];
    if (mv_term_compare(one->cursor.term, one->cursor.size, term, size) != 0) break;
    int more;
    mv_status status = copy_list(merge, one);
    if (status == MV_OK) status = advance(one, &more);
    if (status != MV_OK) return status;
    if (!more) merge->heap[0] = merge->heap[--merge->n_open];
    if (merge->n_open > 0) sift_down(merge, 0);
  }
  return mv_output_term(&merge->output, term, size);
}

mv_status mv_term_merge_step(mv_term_merge *merge, size_t least, mv_term_blocks *blocks) {
  mv_status status = MV_OK;
  mv_output_clear(&merge->output);
  while (status == MV_OK && merge->n_open > 0 && mv_output_size(&merge->output) < least)
    status = put_term(merge);
  if (status == MV_OK && merge->n_open == 0) status = mv_output_end(&merge->output);
  mv_output_take(&merge->output, blocks);
  return status;
}
