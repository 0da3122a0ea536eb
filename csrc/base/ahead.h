/* Loading memory before it is needed. */
#ifndef MV_BASE_AHEAD_H
#define MV_BASE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { MV_CACHE_LINE = 64 };

/* Starts loading the cache line at p; p need not be readable. */
#if defined(__GNUC__)
static inline void mv_load_ahead(const void *p) { __builtin_prefetch(p); }
#else
static inline void mv_load_ahead(const void *p) { (void)p; }
#endif

/* The same of all lines that hold some of `size` bytes. */
static inline void mv_load_range_ahead(const uint8_t *p, size_t size) {
  const uintptr_t begin = (uintptr_t)p, end = begin + size;
  for (uintptr_t line = begin / MV_CACHE_LINE * MV_CACHE_LINE; line < end; line += MV_CACHE_LINE) {
    mv_load_ahead((const void *)line);
  }
}

#endif
