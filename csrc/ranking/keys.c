#include "keys.h"

enum { SORTED_DIRECTLY = 16 /* keys */ };

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

/* Sorts up to SORTED_DIRECTLY keys by the number of those before each. Branch-free but for the
 * loops. */
static void sort_directly(uint64_t *keys, size_t n) {
  uint64_t unsorted[SORTED_DIRECTLY];
  uint32_t before[SORTED_DIRECTLY];
  for (size_t i = 0; i < n; i++) {
    const uint64_t key = unsorted[i] = keys[i];
    before[i] = 0;
    for (size_t j = 0; j < i; j++) {
      const uint32_t is_behind = unsorted[j] > key;
      before[i] += is_behind;
      before[j] += 1 - is_behind;
    }
  }
  for (size_t i = 0; i < n; i++) keys[before[i]] = unsorted[i];
}

void mv_keys_select(uint64_t *keys, size_t n, size_t limit) {
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

void mv_keys_sort(uint64_t *keys, size_t n) {
  while (n > SORTED_DIRECTLY) {
    const size_t at = part(keys, n), behind = n - at - 1;
    /* The shorter part first: the stack stays shallow. */
    if (at < behind) {
      mv_keys_sort(keys, at);
      keys += at + 1;
      n = behind;
    } else {
      mv_keys_sort(keys + at + 1, behind);
      n = at;
    }
  }
  sort_directly(keys, n);
}
