/* The greatest of distinct 64-bit keys, in place: a score in the upper half, in the lower what it
 * is of. One comparison orders by both, and parting many keys branches on none of them. */
#ifndef MV_RANKING_KEYS_H
#define MV_RANKING_KEYS_H

#include <stddef.h>
#include <stdint.h>

/* Brings the `limit` greatest of n keys to the front, in no order. */
void mv_keys_select(uint64_t *keys, size_t n, size_t limit);
/* Sorts n keys, the greatest first. */
void mv_keys_sort(uint64_t *keys, size_t n);

#endif
