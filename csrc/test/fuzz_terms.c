/* Fuzz target: an index of random texts or weights, in which bytes and numbers are then changed.
 * What the check of the view accepts, all reading must bear: results lie inside the index, or the
 * bytes are called corrupt. All arrays are heap blocks of exact size.
 *
 * With libFuzzer: make fuzz. Without: fuzz_main.c feeds random bytes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_input.h"
#include "termed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ROWS = 600, MAX_WORDS = 60, CHANGES = 24 };

/* ---- making ---- */

static void take_texts(input *in, termed *out) {
  uint64_t seed = take(in, 4);
  const size_t n = 1 + take(in, 2) % MAX_ROWS;
  char **texts = texts_draw(&seed, n, 1 + take(in, 1) % MAX_WORDS, take(in, 1) % 12);
  termed_of_texts(out, texts, n);
  texts_free(texts, n);
}

static void take_weights(input *in, termed *out) {
  mv_term_builder *builder;
  MUST(mv_term_builder_new(0, &builder) == MV_OK);
  const size_t n = 1 + take(in, 2) % MAX_ROWS;
  for (size_t i = 0; i < n; i++) {
    const uint8_t first = (uint8_t)take(in, 1);
    const uint8_t bytes[] = {first, (uint8_t)(first + 1), 'x'};
    const uint32_t starts[] = {0, 1, 3};
    const float weights[] = {1 + (float)(take(in, 2) % 60000), .5F};
    const mv_term_names names = {bytes, starts, 2};
    MUST(mv_term_builder_weights(builder, &names, weights) == MV_OK);
  }
  termed_build(out, builder, 0);
  mv_term_builder_free(builder);
}

/* ---- damage ---- */

static void damage(input *in, termed *index) {
  for (int i = 0; i < CHANGES && in->left > 0; i++) {
    const uint32_t what = take(in, 1);
    if (index->view.n_extents == 0) return;
    if (what < 240) {
      const uint32_t e = take(in, 1) % index->view.n_extents;
      const size_t size = index->extent_sizes[e] - MV_TERMS_SLACK;
      index->extents[e][take_below(in, (uint32_t)size)] = (uint8_t)take(in, 1);
    } else if (what < 244) {
      const uint32_t b = take_below(in, index->view.n_blocks + 1);
      index->block_starts[b] += take(in, 1) % 5 - 2;
    } else if (what < 248) {
      const uint32_t b = take_below(in, index->view.n_blocks + 1);
      index->head_starts[b] += take(in, 1) % 5 - 2;
    } else if (what < 252 && index->lengths != NULL) {
      index->lengths[take_below(in, index->view.n_rows)] = (uint16_t)take(in, 2);
    } else if (index->sizes.heads > 0) {
      index->heads[take_below(in, (uint32_t)index->sizes.heads)] = (uint8_t)take(in, 1);
    }
  }
}

/* ---- reading ---- */

static void read_blocks(const mv_terms *terms) {
  uint8_t names[MV_TERMS_BLOCK][MV_MAX_TERM], sizes[MV_TERMS_BLOCK];
  uint32_t counts[MV_TERMS_BLOCK];
  for (uint32_t block = 0; block < terms->n_blocks; block++) {
    size_t n;
    const mv_status status = mv_terms_list(terms, block, names[0], sizes, counts, &n);
    MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
    MUST(n <= MV_TERMS_BLOCK);
    for (size_t i = 0; i < n; i++)
      MUST(sizes[i] >= 1 && sizes[i] <= MV_MAX_TERM && counts[i] <= terms->n_rows);
    const mv_status whole = mv_terms_check_block(terms, block);
    MUST(whole == MV_OK || (whole == MV_ERROR_CORRUPT));
    MUST(status == MV_OK || whole == MV_ERROR_CORRUPT);
  }
}

static void search(input *in, const mv_terms *terms) {
  static const uint32_t starts[] = {0, 1, 3, 5, 7};
  uint8_t bytes[] = "wwawbwc";
  const float weights[] = {1, .5F, 2, 3};
  if (terms->lengths == NULL) {
    for (size_t i = 0; i < 7; i++) bytes[i] = (uint8_t)take(in, 1);
  }
  const mv_term_query query = {{bytes, starts, 4}, weights, 1.2F, .75F, 5};
  uint8_t *map = take_block(in, terms->n_rows / 8 + 1), *has = room(terms->n_rows, 1);
  const uint8_t *const allowed[] = {take(in, 1) & 1 ? map : NULL};
  const mv_terms *const all[] = {terms};
  mv_place places[10];
  float scores[10];
  size_t count = 0;
  uint32_t frequencies[4], first, last;
  mv_status status = mv_terms_best(all, 1, &query, allowed, 10, places, scores, &count);
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  for (size_t i = 0; status == MV_OK && i < count; i++) {
    const uint32_t row = places[i].document;
    MUST(row < terms->n_rows && scores[i] > 0);
    MUST(allowed[0] == NULL || (map[row / 8] >> row % 8 & 1));
  }
  for (uint32_t i = 0; i < 10; i++) places[i] = (mv_place){0, take_below(in, terms->n_rows)};
  status = mv_terms_score(all, 1, &query, places, 10, scores);
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  status = mv_terms_containing(terms, &query.terms, has);
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  status = mv_terms_frequencies(terms, &query.terms, frequencies);
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  mv_terms_range(terms, bytes, 1 + take(in, 1) % 3, &first, &last);
  MUST(first <= last && last <= terms->n_blocks);
  free(map);
  free(has);
}

static void merge(input *in, const mv_terms *terms) {
  uint32_t *map = room(terms->n_rows, sizeof *map), n = 0;
  uint16_t *lengths = room((size_t)terms->n_rows + 1, sizeof *lengths);
  for (uint32_t i = 0; i < terms->n_rows; i++) {
    map[i] = take(in, 1) % 4 == 3 ? (uint32_t)MV_NO_ROW : n;
    if (map[i] == n) lengths[n++] = terms->lengths != NULL ? terms->lengths[i] : 0;
  }
  const mv_terms *const all[] = {terms};
  const uint32_t *const maps[] = {map};
  mv_term_merge *made;
  mv_status status =
      mv_term_merge_new(all, maps, 1, terms->lengths != NULL ? lengths : NULL, n, &made);
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  if (status == MV_OK) {
    mv_term_blocks blocks;
    do {
      status = mv_term_merge_step(made, 700, &blocks);
    } while (status == MV_OK && blocks.n > 0);
    MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
    mv_term_merge_free(made);
  }
  free(map);
  free(lengths);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = {data, size};
  termed index;
  const int has_lengths = take(&in, 1) % 4 != 0;
  if (has_lengths) {
    take_texts(&in, &index);
  } else {
    take_weights(&in, &index);
  }
  read_blocks(&index.view);
  MUST(mv_terms_check(&index.view, &index.sizes) == MV_OK);
  const uint32_t n_rows = index.view.n_rows;
  damage(&in, &index);
  index.view.n_rows = has_lengths ? n_rows : take_near(&in, n_rows) % (2 * MAX_ROWS);
  if (mv_terms_check(&index.view, &index.sizes) == MV_OK) {
    read_blocks(&index.view);
    search(&in, &index.view);
    merge(&in, &index.view);
  }
  termed_free(&index);
  return 0;
}
