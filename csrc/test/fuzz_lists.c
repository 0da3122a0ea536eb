/* Fuzz target: bytes become inverted lists, mostly of right shape, with whatever bytes in them; and
 * codes that lists are made of. What the check accepts, reading and gathering must bear; what was
 * made must be read again. All arrays are heap blocks of exact size.
 *
 * With libFuzzer: make fuzz. Without: fuzz_main.c feeds random bytes. */
#include <stdlib.h>
#include <string.h>

#include "../postings/lists.h"
#include "../search/stages.h"
#include "fuzz_input.h"
#include "packing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_LISTS = 70, MAX_BLOCKS = 6, MAX_EXTENTS = 4, MAX_BYTES = 300, MAX_DOCUMENTS = 500 };

/* ---- lists as they come ---- */

typedef struct stream {
  mv_lists view;
  uint32_t *block_starts, *extent_blocks;
  uint8_t *extents[MAX_EXTENTS];
  size_t extent_sizes[MAX_EXTENTS];
  size_t n_block_starts, n_extent_blocks; /* entries of the arrays */
} stream;

/* A varint, now and then one longer than it need be; how many bytes. */
static size_t take_varint(input *in, uint32_t value, uint8_t *out) {
  size_t n = 0;
  const int longer = take(in, 1) == 1;
  for (; value >= 128; value >>= 7) out[n++] = (uint8_t)(value | 128);
  out[n++] = (uint8_t)(value | (longer ? 128 : 0));
  if (longer) out[n++] = (uint8_t)take(in, 1);
  return n;
}

/* A block's lists as they might be: numbers near the truth, bodies of widths and any bytes. */
static size_t take_lists(input *in, uint32_t n_lists, uint8_t *out, size_t most) {
  uint8_t bodies[MAX_BYTES];
  size_t n = 0, filled = 0;
  for (uint32_t i = 0; i < n_lists && n + 20 < most; i++) {
    const uint32_t count = take(in, 1) % 4 == 0 ? take(in, 1) : take(in, 1) % 5;
    const unsigned width = take(in, 1) % 34;
    const uint32_t run = count < MV_LISTS_RUN ? count : MV_LISTS_RUN;
    size_t bytes = count > 0 ? 1 + (run * width + 7) / 8 : 0;
    if (bytes > MAX_BYTES - filled) bytes = MAX_BYTES - filled;
    for (size_t j = 0; j < bytes; j++) {
      bodies[filled + j] = j == 0 ? (uint8_t)width : (uint8_t)take(in, 1);
    }
    filled += bytes;
    n += take_varint(in, take_near(in, count), out + n);
    n += take_varint(in, take_near(in, (uint32_t)bytes), out + n);
  }
  if (filled > most - n) filled = most - n;
  memcpy(out + n, bodies, filled);
  return n + filled;
}

static void take_stream(input *in, stream *out) {
  uint8_t bytes[MAX_BLOCKS][2 * MAX_BYTES];
  uint32_t sizes[MAX_BLOCKS], starts[MAX_BLOCKS + 1] = {0};
  memset(out, 0, sizeof *out);
  out->view.n_lists = 1 + take(in, 1) % MAX_LISTS;
  const uint32_t n_blocks = (out->view.n_lists + MV_LISTS_BLOCK - 1) / MV_LISTS_BLOCK;
  out->view.n_extents = 1 + take(in, 1) % MAX_EXTENTS;
  for (uint32_t b = 0; b < n_blocks; b++) {
    const uint32_t left = out->view.n_lists - b * MV_LISTS_BLOCK;
    sizes[b] = (uint32_t)take_lists(in, left < MV_LISTS_BLOCK ? left : MV_LISTS_BLOCK, bytes[b],
                                    sizeof bytes[b]);
    starts[b + 1] = starts[b] + sizes[b];
  }
  out->block_starts = room((size_t)n_blocks + 1, sizeof(uint32_t));
  out->extent_blocks = room((size_t)out->view.n_extents + 1, sizeof(uint32_t));
  for (uint32_t b = 0; b <= n_blocks; b++) out->block_starts[b] = take_near(in, starts[b]);
  for (uint32_t e = 0; e <= out->view.n_extents; e++) {
    out->extent_blocks[e] = take_near(in, n_blocks * e / out->view.n_extents);
  }
  for (uint32_t e = 0; e < out->view.n_extents; e++) {
    const uint32_t first = n_blocks * e / out->view.n_extents;
    const uint32_t last = n_blocks * (e + 1) / out->view.n_extents;
    const size_t size = starts[last] - starts[first];
    out->extent_sizes[e] = size + MV_LISTS_SLACK; /* as long as it is: what the file says */
    out->extents[e] = room(out->extent_sizes[e], 1);
    memset(out->extents[e] + size, 0xee, MV_LISTS_SLACK);
    for (uint32_t b = first; b < last; b++) {
      memcpy(out->extents[e] + (starts[b] - starts[first]), bytes[b], sizes[b]);
    }
  }
  out->n_block_starts = (size_t)n_blocks + 1;
  out->n_extent_blocks = (size_t)out->view.n_extents + 1;
  out->view.block_starts = out->block_starts;
  out->view.extent_blocks = out->extent_blocks;
  out->view.extents = (const uint8_t *const *)out->extents;
}

static void stream_free(stream *used) {
  free(used->block_starts);
  free(used->extent_blocks);
  for (size_t e = 0; e < MAX_EXTENTS; e++) free(used->extents[e]);
}

/* ---- reading ---- */

/* The documents of a list rise and are below n_documents, in so far as it can be read. */
static mv_status mark_list(const mv_lists *lists, uint32_t number, uint32_t n_documents,
                           uint8_t *has) {
  mv_list list;
  uint32_t last = UINT32_MAX;
  uint64_t next = 0;
  mv_status status = mv_list_find(lists, number, &list);
  while (status == MV_OK && list.n > 0) {
    uint32_t documents[MV_LISTS_RUN];
    size_t n;
    status = mv_list_run(&list, &last, n_documents, documents, &n);
    for (size_t i = 0; status == MV_OK && i < n; i++) {
      MUST(documents[i] >= next && documents[i] < n_documents);
      next = (uint64_t)documents[i] + 1;
      if (has != NULL) has[documents[i]] = 1;
    }
  }
  MUST(status == MV_OK || status == MV_ERROR_CORRUPT);
  return status;
}

static void gather(input *in, const mv_lists *lists, uint32_t n_documents) {
  const mv_segment segment = {.n_documents = n_documents, .lists = lists};
  const uint8_t chosen[] = {1};
  uint8_t *bitmap = take_block(in, (n_documents + 7) / 8);
  const uint8_t *const allowed[] = {take(in, 1) & 1 ? bitmap : NULL};
  mv_query *query;
  MUST(mv_query_new(&query) == MV_OK);
  for (int round = 0; round < 2; round++) {
    mv_place places[10];
    float scores[10];
    size_t count = 0;
    uint64_t postings = 0;
    MUST(mv_gather_start(query, &segment, 1, chosen, 1) == MV_OK);
    for (int i = 0; i < 20; i++) {
      const mv_probe probe = {take(in, 1) % (MAX_LISTS + 3), (uint8_t)(take(in, 1) % 33),
                              take(in, 1) & 1, 0, (float)take(in, 1) / 100};
      mv_status status = mv_gather_find(query, &segment, 1, chosen, allowed, &probe, 1);
      MUST(status != MV_ERROR_MEMORY);
      status = mv_gather_add(query, &segment, 1, chosen, 0, 1, &postings);
      MUST(status != MV_ERROR_MEMORY);
    }
    MUST(mv_gather_best(query, &segment, 1, chosen, 10, 2, places, scores, &count) == MV_OK);
    for (size_t i = 0; i < count; i++) {
      const uint32_t document = places[i].document;
      MUST(places[i].segment == 0 && document < n_documents);
      MUST(allowed[0] == NULL || (bitmap[document / 8] >> document % 8 & 1));
    }
  }
  mv_query_free(query);
  free(bitmap);
}

/* ---- lists made of codes ---- */

static void make(input *in) {
  enum { TOKENS = 300 };
  const uint32_t n_lists = 1 + take(in, 1) % MAX_LISTS, n_documents = 1 + take(in, 1) % TOKENS;
  const size_t code_bytes = 2 + (take(in, 1) & 1);
  uint32_t *numbers = room(TOKENS, sizeof *numbers);
  uint32_t *starts = room((size_t)n_documents + 1, sizeof *starts);
  for (size_t t = 0; t < TOKENS; t++) numbers[t] = take(in, 1) % n_lists;
  for (uint32_t i = 0; i <= n_documents; i++) starts[i] = TOKENS * i / n_documents;
  uint8_t *codes = codes_of(numbers, TOKENS, code_bytes), *has = room(n_documents, 1);
  packing lists;
  packing_of_codes(&lists, codes, code_bytes, starts, n_documents, n_lists, 3);
  for (uint32_t c = 0; c < n_lists; c++) {
    memset(has, 0, n_documents);
    MUST(mark_list(&lists.view, c, n_documents, has) == MV_OK);
    for (uint32_t i = 0; i < n_documents; i++) {
      int expected = 0;
      for (uint32_t t = starts[i]; t < starts[i + 1]; t++) expected |= numbers[t] == c;
      MUST(has[i] == expected);
    }
  }
  packing_free(&lists);
  free(numbers);
  free(starts);
  free(codes);
  free(has);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = {data, size};
  stream lists;
  const uint32_t n_documents = take(&in, 2) % MAX_DOCUMENTS;
  if (take(&in, 1) % 8 == 0) make(&in);
  take_stream(&in, &lists);
  if (mv_lists_check(&lists.view, lists.n_block_starts, lists.n_extent_blocks,
                     lists.extent_sizes) == MV_OK) {
    for (uint32_t c = 0; c < lists.view.n_lists; c++) {
      mark_list(&lists.view, c, n_documents, NULL);
    }
    gather(&in, &lists.view, n_documents);
  }
  stream_free(&lists);
  return 0;
}
