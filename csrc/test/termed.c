#include "termed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/random.h"

static void *grown(void *old, size_t used, size_t added, size_t size) {
  uint8_t *data = room(used + added, size);
  if (used > 0) memcpy(data, old, used * size);
  free(old);
  return data;
}

void termed_begin(termed_parts *parts) {
  memset(parts, 0, sizeof *parts);
  parts->block_starts = room(1, sizeof(uint32_t));
  parts->head_starts = room(1, sizeof(uint32_t));
  parts->block_starts[0] = parts->head_starts[0] = 0;
}

void termed_append(termed_parts *p, const mv_term_blocks *blocks) {
  const size_t bytes = p->block_starts[p->n], names = p->head_starts[p->n];
  p->bytes = grown(p->bytes, bytes, blocks->size, 1);
  p->heads = grown(p->heads, names, blocks->heads_size, 1);
  memcpy(p->bytes + bytes, blocks->bytes, blocks->size);
  memcpy(p->heads + names, blocks->heads, blocks->heads_size);
  p->block_starts = grown(p->block_starts, p->n + 1, blocks->n, sizeof(uint32_t));
  p->head_starts = grown(p->head_starts, p->n + 1, blocks->n, sizeof(uint32_t));
  for (size_t i = 0; i < blocks->n; i++, p->n++) {
    p->block_starts[p->n + 1] = p->block_starts[p->n] + blocks->block_sizes[i];
    p->head_starts[p->n + 1] = p->head_starts[p->n] + blocks->head_sizes[i];
  }
}

void termed_end(termed *out, termed_parts *p, const uint16_t *lengths, uint32_t n_rows) {
  enum { TOGETHER = 3 };
  const size_t n = p->n, e = (n + TOGETHER - 1) / TOGETHER;
  memset(out, 0, sizeof *out);
  if (lengths != NULL) {
    out->lengths = room(n_rows, sizeof *lengths);
    memcpy(out->lengths, lengths, n_rows * sizeof *lengths);
  }
  out->block_starts = p->block_starts;
  out->head_starts = p->head_starts;
  out->heads = p->heads;
  out->extent_blocks = room(e + 1, sizeof(uint32_t));
  out->extents = room(e + 1, sizeof *out->extents);
  out->extent_sizes = room(e + 1, sizeof(size_t));
  for (size_t i = 0; i <= e; i++)
    out->extent_blocks[i] = (uint32_t)(i * TOGETHER < n ? i * TOGETHER : n);
  for (size_t i = 0; i < e; i++) {
    const uint32_t begin = p->block_starts[out->extent_blocks[i]];
    const size_t size = p->block_starts[out->extent_blocks[i + 1]] - begin;
    out->extent_sizes[i] = size + MV_TERMS_SLACK;
    out->extents[i] = room(out->extent_sizes[i], 1);
    memcpy(out->extents[i], p->bytes + begin, size);
    memset(out->extents[i] + size, 0xee, MV_TERMS_SLACK);
  }
  out->view = (mv_terms){n_rows,           (uint32_t)n,       (uint32_t)e,
                         out->lengths,     out->block_starts, out->extent_blocks,
                         out->head_starts, out->heads,        (const uint8_t *const *)out->extents};
  out->sizes = (mv_terms_sizes){
      lengths != NULL ? n_rows : 0, n + 1, e + 1, n + 1, p->head_starts[n], out->extent_sizes};
  free(p->bytes);
}

void termed_build(termed *out, mv_term_builder *builder, int has_lengths) {
  const uint32_t n_rows = mv_term_builder_rows(builder);
  uint16_t *lengths = room((size_t)n_rows + 1, sizeof *lengths);
  termed_parts parts;
  mv_term_blocks blocks;
  mv_term_builder_lengths(builder, lengths);
  termed_begin(&parts);
  do {
    MUST(mv_term_builder_run(builder, 1000, &blocks) == MV_OK);
    if (blocks.n > 0) termed_append(&parts, &blocks);
  } while (blocks.n > 0);
  termed_end(out, &parts, has_lengths ? lengths : NULL, n_rows);
  free(lengths);
}

void termed_free(termed *used) {
  for (uint32_t e = 0; e < used->sizes.extent_blocks - 1; e++) free(used->extents[e]);
  free(used->extents);
  free(used->extent_sizes);
  free(used->extent_blocks);
  free(used->block_starts);
  free(used->head_starts);
  free(used->heads);
  free(used->lengths);
}

/* ---- texts ---- */

/* A word of letters alone. */
static size_t write_word(char *out, size_t number) {
  size_t n = 0;
  out[n++] = 'w';
  for (; number > 0; number /= 26) out[n++] = (char)('a' + number % 26);
  out[n++] = ' ';
  return n;
}

char **texts_draw(uint64_t *seed, size_t n, size_t n_words, size_t longest) {
  char **texts = room(n, sizeof *texts);
  for (size_t i = 0; i < n; i++) {
    const size_t length = (size_t)mv_random_below(seed, longest + 1);
    size_t at = 0;
    texts[i] = room(length * 8 + 1, 1);
    for (size_t j = 0; j < length; j++) {
      size_t below = n_words;
      while (below > 1 && mv_random_below(seed, 2)) below /= 2;
      at += write_word(texts[i] + at, (size_t)mv_random_below(seed, below));
    }
    texts[i][at] = 0;
  }
  return texts;
}

void texts_free(char **texts, size_t n) {
  for (size_t i = 0; i < n; i++) free(texts[i]);
  free(texts);
}

mv_status texts_add(mv_term_builder *builder, char *const *texts, size_t first, size_t last) {
  for (size_t i = first; i < last; i++) {
    const uint8_t *text = (const uint8_t *)texts[i];
    const size_t size = strlen(texts[i]);
    size_t count;
    const mv_status status = mv_term_builder_texts(builder, &text, &size, 1, &count);
    if (status != MV_OK) return status;
  }
  return MV_OK;
}

void termed_of_texts(termed *out, char *const *texts, size_t n) {
  mv_term_builder *builder;
  MUST(mv_term_builder_new(1, &builder) == MV_OK);
  MUST(texts_add(builder, texts, 0, n) == MV_OK);
  termed_build(out, builder, 1);
  mv_term_builder_free(builder);
}
