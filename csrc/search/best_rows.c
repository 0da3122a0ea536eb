/* Selection of the greatest keys, in place: see best_rows.h. */
#include "best_rows.h"

enum { LEAST_ROOM = 64, SORTED_DIRECTLY = 16 };

mv_status mv_best_rows_init(mv_best_rows *best, size_t tokens, size_t lanes, size_t limit) {
  best->tokens = tokens;
  best->lanes = lanes;
  best->limit = limit;
  best->room = 2 * limit > LEAST_ROOM ? 2 * limit : LEAST_ROOM;
  for (size_t l = 0; l < MV_LANES_MAX; l++) {
    best->count[l] = 0;
    best->least[l] = l < tokens ? INT16_MIN : INT16_MAX;
  }
  best->keys = mv_alloc(tokens * best->room, sizeof(uint64_t));
  return best->keys == NULL ? MV_ERROR_MEMORY : MV_OK;
}

void mv_best_rows_free(mv_best_rows *best) { mv_free(best->keys); }

static void swap(uint64_t *keys, size_t i, size_t j) {
  const uint64_t key = keys[i];
  keys[i] = keys[j];
  keys[j] = key;
}

/* Parts n > 2 distinct keys: those before the returned one are greater, those behind it less. The
 * pivot is the middle one of three. */
static size_t part(uint64_t *keys, size_t n) {
  const size_t middle = n / 2, last = n - 1;
  if (keys[middle] > keys[0]) swap(keys, middle, 0);
  if (keys[last] > keys[0]) swap(keys, last, 0);
  if (keys[last] > keys[middle]) swap(keys, last, middle);
  const uint64_t pivot = keys[middle];
  swap(keys, middle, last);
  size_t greater = 0;
  for (size_t i = 0; i < last; i++) {
    /* Branch-free: which keys are greater cannot be predicted. */
    const uint64_t key = keys[i];
    keys[i] = keys[greater];
    keys[greater] = key;
    greater += key > pivot;
  }
  swap(keys, greater, last);
  return greater;
}

static void sort_directly(uint64_t *keys, size_t n) {
  for (size_t i = 1; i < n; i++) {
    const uint64_t key = keys[i];
    size_t at = i;
    for (; at > 0 && keys[at - 1] < key; at--) keys[at] = keys[at - 1];
    keys[at] = key;
  }
}

/* Brings the `limit` greatest of n keys to the front, in no order. */
static void select_greatest(uint64_t *keys, size_t n, size_t limit) {
  while (n > SORTED_DIRECTLY && limit > 0 && limit < n) {
    const size_t at = part(keys, n);
    if (at >= limit) {
      n = at;
    } else {
      keys += at + 1;
      n -= at + 1;
      limit -= at + 1;
    }
  }
  if (limit > 0 && limit < n) sort_directly(keys, n);
}

static void sort_keys(uint64_t *keys, size_t n) {
  while (n > SORTED_DIRECTLY) {
    const size_t at = part(keys, n), behind = n - at - 1;
    /* The shorter part first: the stack stays shallow. */
    if (at < behind) {
      sort_keys(keys, at);
      keys += at + 1;
      n = behind;
    } else {
      sort_keys(keys + at + 1, behind);
      n = at;
    }
  }
  sort_directly(keys, n);
}

/* Cuts a token's full buffer to its best. Rows of the worst score kept may still be better by their
 * number. */
static void cut(mv_best_rows *best, size_t token) {
  uint64_t *keys = best->keys + token * best->room;
  select_greatest(keys, best->count[token], best->limit);
  best->count[token] = best->limit;
  uint64_t worst = keys[0];
  for (size_t i = 1; i < best->limit; i++) worst = keys[i] < worst ? keys[i] : worst;
  const int score = mv_key_score(worst);
  best->least[token] = (int16_t)(score > INT16_MIN ? score - 1 : score);
}

void mv_best_rows_offer(mv_best_rows *best, const int16_t *scores, uint32_t first, size_t n) {
  const mv_kernels *kernels = mv_kernels_get();
  const size_t lanes = best->lanes;
  for (size_t at = 0; at < n; at++) {
    at += kernels->above(scores + at * lanes, n - at, lanes, best->least);
    if (at == n) break;
    for (size_t l = 0; l < best->tokens; l++) {
      const int16_t score = scores[at * lanes + l];
      if (score <= best->least[l]) continue;
      best->keys[l * best->room + best->count[l]++] = mv_row_key(score, first + (uint32_t)at);
      if (best->count[l] == best->room) cut(best, l);
    }
  }
}

void mv_best_rows_sort(mv_best_rows *best) {
  for (size_t l = 0; l < best->tokens; l++) {
    uint64_t *keys = best->keys + l * best->room;
    if (best->count[l] > best->limit) {
      select_greatest(keys, best->count[l], best->limit);
      best->count[l] = best->limit;
    }
    sort_keys(keys, best->count[l]);
  }
}
