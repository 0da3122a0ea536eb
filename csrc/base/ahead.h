/* Loading memory before it is needed. */
#ifndef MV_BASE_AHEAD_H
#define MV_BASE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { MV_CACHE_LINE = 64 };

/* Starts loading the cache line at p, or loading it into the second cache alone; p need not be
 * readable. */
#if defined(__GNUC__)
static inline void mv_load_ahead(const void *p) { __builtin_prefetch(p); }
static inline void mv_load_early(const void *p) { __builtin_prefetch(p, 0, 2); }
#else
static inline void mv_load_ahead(const void *p) { (void)p; }
static inline void mv_load_early(const void *p) { (void)p; }
#endif

/* The same of all lines that hold some of `size` bytes; early: into the second cache, of what is
 * needed later and must not push what is needed now out of the nearest. */
static inline void mv_load_lines(const uint8_t *p, size_t size, int early) {
  const uintptr_t begin = (uintptr_t)p, end = begin + size;
  for (uintptr_t line = begin / MV_CACHE_LINE * MV_CACHE_LINE; line < end; line += MV_CACHE_LINE) {
    if (early) {
      mv_load_early((const void *)line);
    } else {
      mv_load_ahead((const void *)line);
    }
  }
}
static inline void mv_load_range_ahead(const uint8_t *p, size_t size) { mv_load_lines(p, size, 0); }
static inline void mv_load_range_early(const uint8_t *p, size_t size) { mv_load_lines(p, size, 1); }

#endif
