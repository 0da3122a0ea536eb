/* Prefetching of mapped ranges (ESPN, arXiv 2312.05417, overlaps such reads with computation), and
 * the reads that were waited for. The only system calls of the core. */
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE /* madvise, RUSAGE_THREAD */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

#include "../postings/lists.h"
#include "segment.h"

/* A read that grows as long as the next range touches it. */
typedef struct fetch {
  uintptr_t begin; /* of the pages */
  uintptr_t end;
  uintptr_t page;
  int how;
  uint64_t *reads;
  uint64_t *bytes;
} fetch;

static uintptr_t page_size(void) {
#if defined(_WIN32)
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
#else
  return (uintptr_t)sysconf(_SC_PAGESIZE);
#endif
}

static void hint(uintptr_t begin, uintptr_t end) {
#if defined(_WIN32)
  WIN32_MEMORY_RANGE_ENTRY range = {(void *)begin, end - begin};
  PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0);
#else
  madvise((void *)begin, end - begin, MADV_WILLNEED);
#endif
}

static void touch(uintptr_t begin, uintptr_t end, uintptr_t page) {
  for (uintptr_t at = begin; at < end; at += page) (void)*(const volatile uint8_t *)at;
}

static void issue(fetch *f) {
  if (f->begin == f->end) return;
  if (f->how == MV_FETCH_HINT) {
    hint(f->begin, f->end);
  } else {
    touch(f->begin, f->end, f->page);
  }
  *f->reads += 1;
  *f->bytes += f->end - f->begin;
}

static void add(fetch *f, const uint8_t *from, size_t size) {
  uintptr_t begin = (uintptr_t)from & ~(f->page - 1);
  uintptr_t end = ((uintptr_t)from + size + f->page - 1) & ~(f->page - 1);
  if (begin >= f->begin && begin <= f->end) {
    f->end = end > f->end ? end : f->end;
    return;
  }
  issue(f);
  f->begin = begin;
  f->end = end;
}

mv_status mv_fetch_records(const mv_segment *segments, size_t n_segments, const mv_place *places,
                           size_t n, int how, uint64_t *reads, uint64_t *bytes) {
  if (!mv_places_fit(segments, n_segments, places, n)) return MV_ERROR_ARGUMENT;
  fetch f = {0, 0, page_size(), how, reads, bytes};
  for (size_t i = 0; i < n; i++) {
    size_t size;
    const uint8_t *from = mv_record_find(&segments[places[i].segment], places[i].document, &size);
    add(&f, from, size);
  }
  issue(&f);
  return MV_OK;
}

mv_status mv_fetch_lists(const mv_lists *lists, const uint32_t *blocks, size_t n, int how,
                         uint64_t *reads, uint64_t *bytes) {
  fetch f = {0, 0, page_size(), how, reads, bytes};
  for (size_t i = 0; i < n; i++) {
    if (blocks[i] > (lists->n_lists - 1) / MV_LISTS_BLOCK) return MV_ERROR_ARGUMENT;
    size_t size;
    const uint8_t *from = mv_lists_block(lists, blocks[i], &size);
    add(&f, from, size);
  }
  issue(&f);
  return MV_OK;
}

uint64_t mv_major_faults(void) {
#if defined(_WIN32)
  return 0;
#else
  struct rusage usage;
#if defined(RUSAGE_THREAD)
  const int who = RUSAGE_THREAD;
#else
  const int who = RUSAGE_SELF;
#endif
  return getrusage(who, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
#endif
}
