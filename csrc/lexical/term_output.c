#include "term_output.h"

#include <string.h>

#include "../base/varint.h"
#include "posting_run.h"
#include "term_block.h"

enum {
  BLOCK_BYTES = 4096, /* of bodies from which a block ends: a query reads whole blocks */
  ENTRY_BYTES = 3 + MV_MAX_TERM + 2 * MV_VARINT_BYTES
};

/* Makes room for `size` more bytes; where they begin, or NULL. */
static uint8_t *extend(mv_bytes *bytes, size_t size) {
  if (mv_buffer_grow(&bytes->buffer, bytes->size + size, 1) == NULL) return NULL;
  return (uint8_t *)bytes->buffer.data + bytes->size;
}

static mv_status append(mv_bytes *bytes, const void *data, size_t size) {
  uint8_t *at = extend(bytes, size);
  if (at == NULL) return MV_ERROR_MEMORY;
  memcpy(at, data, size);
  bytes->size += size;
  return MV_OK;
}

void mv_output_init(mv_term_output *output, const uint16_t *lengths, uint32_t n_rows) {
  memset(output, 0, sizeof *output);
  output->lengths = lengths;
  uint64_t sum = 0, n = 0;
  for (uint32_t i = 0; lengths != NULL && i < n_rows; i++) {
    sum += lengths[i];
    n += lengths[i] > 0;
  }
  output->average = n > 0 ? (float)sum / (float)n : 1;
}

void mv_output_free(mv_term_output *output) {
  mv_bytes *all[] = {&output->blocks,  &output->block_sizes, &output->heads, &output->head_sizes,
                     &output->entries, &output->bodies,      &output->skips, &output->runs};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) mv_buffer_free(&all[i]->buffer);
}

/* ---- runs ---- */

static void write_u32(uint8_t *out, uint32_t value) {
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* Packs the last n postings, which are fewer than a run only at the end of a list. */
static mv_status end_run(mv_term_output *output, uint32_t n) {
  uint8_t *at = extend(&output->runs, MV_RUN_BYTES), skip[8 + MV_BOUND_BYTES];
  if (at == NULL) return MV_ERROR_MEMORY;
  output->runs.size += mv_run_write(at, output->next, output->rows, output->values, n);
  output->next = output->rows[n - 1] + 1;
  write_u32(skip, output->rows[n - 1]);
  write_u32(skip + 4, (uint32_t)output->runs.size);
  mv_bounds_write(output->rows, output->values, n, output->lengths, output->average, skip + 8);
  return append(&output->skips, skip, sizeof skip);
}

mv_status mv_output_postings(mv_term_output *output, const uint32_t *rows, const uint16_t *values,
                             size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t at = output->n_postings++ % MV_TERMS_RUN;
    output->rows[at] = rows[i];
    output->values[at] = values[i];
    if (at + 1 < MV_TERMS_RUN) continue;
    const mv_status status = end_run(output, MV_TERMS_RUN);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

/* ---- terms ---- */

static size_t shared_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
  size_t n = 0;
  while (n < a_size && n < b_size && a[n] == b[n]) n++;
  return n;
}

static uint8_t *write_ends(uint8_t *at, size_t shared, size_t added) {
  const size_t upper = shared < MV_HALF ? shared : MV_HALF;
  const size_t lower = added < MV_HALF ? added : MV_HALF;
  *at++ = (uint8_t)(upper << 4 | lower);
  if (upper == MV_HALF) *at++ = (uint8_t)shared;
  if (lower == MV_HALF) *at++ = (uint8_t)added;
  return at;
}

/* Moves the open list to the bodies; *size of them. */
static mv_status end_list(mv_term_output *output, uint32_t *size) {
  const uint32_t rest = output->n_postings % MV_TERMS_RUN;
  mv_status status = rest > 0 ? end_run(output, rest) : MV_OK;
  const size_t before = output->bodies.size;
  if (status == MV_OK && output->n_postings > MV_TERMS_RUN)
    status = append(&output->bodies, output->skips.buffer.data, output->skips.size);
  if (status == MV_OK)
    status = append(&output->bodies, output->runs.buffer.data, output->runs.size);
  *size = (uint32_t)(output->bodies.size - before);
  output->skips.size = output->runs.size = 0;
  return status;
}

mv_status mv_output_term(mv_term_output *output, const uint8_t *term, size_t size) {
  uint32_t body = 0;
  if (output->n_postings == 0) return MV_OK;
  mv_status status = end_list(output, &body);
  if (status != MV_OK) return status;
  uint8_t entry[ENTRY_BYTES], *at = entry;
  if (output->n_terms == 0) {
    const uint8_t head_size = (uint8_t)size;
    status = append(&output->heads, term, size);
    if (status == MV_OK) status = append(&output->head_sizes, &head_size, 1);
  } else {
    const size_t shared = shared_bytes(output->term, output->term_size, term, size);
    at = write_ends(at, shared, size - shared);
    memcpy(at, term + shared, size - shared);
    at += size - shared;
  }
  at = mv_varint_write(at, output->n_postings);
  at = mv_varint_write(at, body);
  if (status == MV_OK) status = append(&output->entries, entry, (size_t)(at - entry));
  memcpy(output->term, term, size);
  output->term_size = size;
  output->n_postings = output->next = 0;
  output->n_terms++;
  if (status != MV_OK) return status;
  const int is_full = output->n_terms == MV_TERMS_BLOCK || output->bodies.size >= BLOCK_BYTES;
  return is_full ? mv_output_end(output) : MV_OK;
}

/* ---- blocks ---- */

mv_status mv_output_end(mv_term_output *output) {
  uint8_t count[MV_VARINT_BYTES];
  if (output->n_terms == 0) return MV_OK;
  const size_t begin = output->blocks.size;
  const size_t count_size = (size_t)(mv_varint_write(count, output->n_terms) - count);
  mv_status status = append(&output->blocks, count, count_size);
  if (status == MV_OK)
    status = append(&output->blocks, output->entries.buffer.data, output->entries.size);
  if (status == MV_OK)
    status = append(&output->blocks, output->bodies.buffer.data, output->bodies.size);
  const uint32_t size = (uint32_t)(output->blocks.size - begin);
  if (status == MV_OK) status = append(&output->block_sizes, &size, sizeof size);
  output->n_blocks++;
  output->n_terms = 0;
  output->entries.size = output->bodies.size = 0;
  return status;
}

size_t mv_output_size(const mv_term_output *output) { return output->blocks.size; }

void mv_output_take(mv_term_output *output, mv_term_blocks *blocks) {
  *blocks = (mv_term_blocks){.bytes = output->blocks.buffer.data,
                             .size = output->blocks.size,
                             .block_sizes = output->block_sizes.buffer.data,
                             .heads = output->heads.buffer.data,
                             .heads_size = output->heads.size,
                             .head_sizes = output->head_sizes.buffer.data,
                             .n = output->n_blocks};
}

void mv_output_clear(mv_term_output *output) {
  output->blocks.size = output->block_sizes.size = 0;
  output->heads.size = output->head_sizes.size = 0;
  output->n_blocks = 0;
}
