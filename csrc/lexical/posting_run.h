/* A run of postings, packed: at most MV_TERMS_RUN rows with their values (grammar: terms.h). */
#ifndef MV_LEXICAL_POSTING_RUN_H
#define MV_LEXICAL_POSTING_RUN_H

#include "terms.h"

/* The longest run: at its best width a number takes no more than 32 bits and one, a value no more
 * than 16 and one. */
enum {
  MV_RUN_BYTES = 1 + MV_TERMS_RUN / 8 * 33 + 1 + 3 + 1 + MV_TERMS_RUN / 8 * 17 + 1,
};

/* Writes n rows, ascending from `next` on, with their values; the bytes written. */
size_t mv_run_write(uint8_t *out, uint32_t next, const uint32_t *rows, const uint16_t *values,
                    uint32_t n);

/* Reads n postings, which fill `size` bytes: rows ascend from `next` on and are below n_rows,
 * values are above 0. May read MV_TERMS_SLACK bytes behind. */
mv_status mv_run_read(const uint8_t *in, size_t size, uint32_t n, uint32_t next, uint32_t n_rows,
                      uint32_t *rows, uint16_t *values);

#endif
