/* The best rows of a table of int16 scores for each query token: a buffer of keys for each, cut to
 * the best when it is full. That takes constant time a row, and most rows are skipped 16 lanes at a
 * time. */
#ifndef MV_SEARCH_BEST_ROWS_H
#define MV_SEARCH_BEST_ROWS_H

#include "query.h"

typedef struct mv_best_rows {
  size_t tokens;
  size_t lanes;
  size_t limit; /* rows kept of each token */
  size_t room;
  uint64_t *keys;              /* [tokens][room]: score, then the row, so that greater is better */
  int16_t *maxima;             /* [room][lanes] */
  size_t count[MV_LANES_MAX];  /* keys of a token */
  int16_t least[MV_LANES_MAX]; /* scores have to exceed it */
} mv_best_rows;

/* limit: at least 1. To be freed in any case. */
mv_status mv_best_rows_init(mv_best_rows *best, size_t tokens, size_t lanes, size_t limit);
void mv_best_rows_free(mv_best_rows *best);

/* Rows of these n will be offered: scores that fall short of the best of them are skipped from the
 * beginning. The rows are dealt into as many runs as a buffer has room for keys, and at least
 * `limit` rows reach the limit-th greatest of the maxima of the runs. Before any row is offered. */
void mv_best_rows_bound(mv_best_rows *best, const int16_t *scores, size_t n);

/* Offers rows first .. first + n - 1; scores [n][lanes] are theirs, above INT16_MIN, as all of a
 * table are. */
void mv_best_rows_offer(mv_best_rows *best, const int16_t *scores, uint32_t first, size_t n);

/* Keeps the best `limit` rows of each token, if there are more, in no order. */
void mv_best_rows_select(mv_best_rows *best);
/* The same, best first, ties by row. */
void mv_best_rows_sort(mv_best_rows *best);

static inline uint64_t mv_row_key(int16_t score, uint32_t row) {
  return (uint64_t)(score - INT16_MIN) << 32 | (UINT32_MAX - row);
}
static inline int mv_key_score(uint64_t key) { return (int)(key >> 32) + INT16_MIN; }
static inline uint32_t mv_key_row(uint64_t key) { return UINT32_MAX - (uint32_t)key; }

#endif
