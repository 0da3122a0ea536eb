/* Selection of the greatest keys, in place: see best_rows.h. */
#include "best_rows.h"

#include <string.h>

#include "../ranking/keys.h"

enum { LEAST_ROOM = 64 };

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
  best->maxima = mv_alloc(lanes * best->room, sizeof(int16_t));
  return best->keys == NULL || best->maxima == NULL ? MV_ERROR_MEMORY : MV_OK;
}

void mv_best_rows_free(mv_best_rows *best) {
  mv_free(best->keys);
  mv_free(best->maxima);
}

static void keep_greater(int16_t *restrict maxima, const int16_t *restrict scores, size_t n) {
  for (size_t i = 0; i < n; i++) maxima[i] = scores[i] > maxima[i] ? scores[i] : maxima[i];
}

/* Cuts a token's full buffer to its best. Rows of the worst score kept may still be better by their
 * number. */
static void cut(mv_best_rows *best, size_t token) {
  uint64_t *keys = best->keys + token * best->room;
  mv_keys_select(keys, best->count[token], best->limit);
  best->count[token] = best->limit;
  uint64_t worst = keys[0];
  for (size_t i = 1; i < best->limit; i++) worst = keys[i] < worst ? keys[i] : worst;
  const int score = mv_key_score(worst);
  best->least[token] = (int16_t)(score > INT16_MIN ? score - 1 : score);
}

void mv_best_rows_bound(mv_best_rows *best, const int16_t *scores, size_t n) {
  const size_t width = best->room * best->lanes;
  if (n < 2 * best->room) return;
  memcpy(best->maxima, scores, width * sizeof(int16_t));
  for (size_t at = width; at < n * best->lanes; at += width) {
    const size_t left = n * best->lanes - at;
    keep_greater(best->maxima, scores + at, left < width ? left : width);
  }
  for (size_t l = 0; l < best->tokens; l++) {
    uint64_t *keys = best->keys + l * best->room;
    for (size_t i = 0; i < best->room; i++) {
      keys[i] = mv_row_key(best->maxima[i * best->lanes + l], (uint32_t)i);
    }
    best->count[l] = best->room;
    cut(best, l);
    best->count[l] = 0;
  }
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

void mv_best_rows_select(mv_best_rows *best) {
  for (size_t l = 0; l < best->tokens; l++) {
    if (best->count[l] <= best->limit) continue;
    mv_keys_select(best->keys + l * best->room, best->count[l], best->limit);
    best->count[l] = best->limit;
  }
}

void mv_best_rows_sort(mv_best_rows *best) {
  mv_best_rows_select(best);
  for (size_t l = 0; l < best->tokens; l++)
    mv_keys_sort(best->keys + l * best->room, best->count[l]);
}
