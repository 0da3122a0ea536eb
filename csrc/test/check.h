/* What the C tests share: counted checks, and buffers of exact size. */
#ifndef MV_TEST_CHECK_H
#define MV_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static int checks_passed, checks_failed;

/* Counts; names the place and a few words (a printf format) where the condition is false. */
#define CHECK(condition, ...)                                         \
  do {                                                                \
    if (condition) {                                                  \
      checks_passed++;                                                \
    } else if (++checks_failed <= 20) {                               \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      fprintf(stderr, __VA_ARGS__);                                   \
      fputc('\n', stderr);                                            \
    }                                                                 \
  } while (0)

/* The last line of every test program, and its exit status. */
static inline int checks_report(void) {
  printf("%d passed, %d failed\n", checks_passed, checks_failed);
  return checks_failed != 0;
}

#endif
