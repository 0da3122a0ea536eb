/* Inverted lists of wrong bytes and wrong arrays: refused, or they give documents in order, never
 * more than there are. */
#include <string.h>

#include "../base/random.h"
#include "../postings/lists.h"
#include "check.h"
#include "packing.h"

static uint64_t seed = 137;

/* ---- wrong bytes ---- */

enum { WRONG_DOCUMENTS = 900, WRONG_LISTS = 20 };

/* A block alone, in a heap block that ends behind its slack. */
typedef struct block {
  mv_lists view;
  uint32_t starts[3], blocks[2];
  const uint8_t *extents[1];
  uint8_t *bytes;
} block;

static void block_build(block *out, const uint8_t *bytes, size_t size, uint32_t n_lists) {
  out->bytes = room(size + MV_LISTS_SLACK, 1);
  memcpy(out->bytes, bytes, size);
  memset(out->bytes + size, 0, MV_LISTS_SLACK); /* what would do for a list */
  out->starts[0] = 0;
  out->starts[1] = (uint32_t)size;
  out->blocks[0] = 0;
  out->blocks[1] = 1;
  out->extents[0] = out->bytes;
  out->view = (mv_lists){n_lists, 1, out->starts, out->blocks, out->extents, NULL};
}

/* How many lists of the block are refused. */
static uint32_t read_block(const block *b) {
  uint32_t refused = 0;
  for (uint32_t i = 0; i < b->view.n_lists; i++) {
    refused += read_list(&b->view, i, WRONG_DOCUMENTS, NULL, 0) == UINT32_MAX;
  }
  return refused;
}

static void case_wrong(const uint8_t *bytes, size_t size, uint32_t n_lists) {
  static const uint8_t others[] = {0, 1, 32, 33, 64, 127, 128, 255};
  block b;
  block_build(&b, bytes, size, n_lists);
  CHECK(read_block(&b) == 0, "the block as it was");
  uint32_t refused = 0;
  for (size_t i = 0; i < size; i++) {
    for (unsigned bit = 0; bit < 8; bit++) {
      b.bytes[i] = (uint8_t)(bytes[i] ^ 1U << bit);
      refused += read_block(&b);
    }
    for (size_t j = 0; j < sizeof others; j++) {
      b.bytes[i] = others[j];
      refused += read_block(&b);
    }
    b.bytes[i] = bytes[i];
  }
  CHECK(refused > size, "of %zu bytes %u changes were refused", size, refused);
  CHECK(read_block(&b) == 0, "the block as it was again");
  free(b.bytes);
  for (size_t left = 1; left < size; left++) {
    block_build(&b, bytes, left, n_lists);
    CHECK(read_block(&b) >= 1, "%zu of %zu bytes", left, size);
    free(b.bytes);
  }
}

static void test_wrong_bytes(void) {
  coded c;
  packing lists;
  size_t size;
  coded_draw(&c, &seed, WRONG_DOCUMENTS, WRONG_LISTS, 2, 3);
  packing_of_codes(&lists, c.codes, 2, c.starts, WRONG_DOCUMENTS, WRONG_LISTS, 1);
  const uint8_t *first = mv_lists_block(&lists.view, 0, &size);
  case_wrong(first, size, MV_LISTS_BLOCK);
  const uint8_t *second = mv_lists_block(&lists.view, 1, &size);
  case_wrong(second, size, WRONG_LISTS - MV_LISTS_BLOCK);
  packing_free(&lists);
  coded_free(&c);
}

/* Bytes made up, and what becomes of the first list in them. */
static void refuse(const uint8_t *bytes, size_t size, const char *what) {
  block b;
  block_build(&b, bytes, size, 1);
  CHECK(read_list(&b.view, 0, WRONG_DOCUMENTS, NULL, 0) == UINT32_MAX, "%s", what);
  free(b.bytes);
}

#define REFUSE(what, ...)                          \
  do {                                             \
    static const uint8_t bytes_[] = {__VA_ARGS__}; \
    refuse(bytes_, sizeof bytes_, what);           \
  } while (0)

static void test_made_up(void) {
  static const uint8_t good[] = {0x82, 0x80, 0x00, 0x03, 3, 0x3f, 0x00};
  block b;
  uint32_t documents[2] = {0, 0};
  block_build(&b, good, sizeof good, 1);
  CHECK(read_list(&b.view, 0, 900, documents, 2) == 2, "a number longer than need be");
  CHECK(documents[0] == 7 && documents[1] == 15, "%u %u", documents[0], documents[1]);
  free(b.bytes);
  REFUSE("a number without an end", 0x80, 0x80, 0x80);
  REFUSE("a number of six bytes", 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0);
  REFUSE("a number beyond 32 bits", 0x82, 0x80, 0x80, 0x80, 0x10, 3, 3, 0x3f, 0);
  REFUSE("a number far beyond", 0xff, 0xff, 0xff, 0xff, 0x10, 0, 0);
  REFUSE("the fifth byte has a successor", 0x80, 0x80, 0x80, 0x80, 0x8f, 0x00, 0, 0);
  REFUSE("no second number", 1);
  REFUSE("a body longer than the block", 1, 2, 0);
  REFUSE("a body much longer than the block", 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0);
  REFUSE("a document without a body", 1, 0);
  REFUSE("a width beyond 32", 1, 6, 33, 0, 0, 0, 0, 0);
  REFUSE("a run beyond its body", 2, 2, 5, 0);
  REFUSE("more runs than bytes", 0xc1, 0x00, 1, 0);
  REFUSE("more documents than there are", 0xff, 0xff, 0xff, 0xff, 0x0f, 3, 0, 0, 0);
  REFUSE("a document beyond the last", 1, 5, 32, 0xff, 0xff, 0xff, 0xff);
  REFUSE("a sum that wraps", 2, 9, 32, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0);
}

/* ---- wrong arrays ---- */

static void expect(const packing *lists, mv_status expected, const char *what) {
  const mv_status status = mv_lists_check(&lists->view, lists->n_block_starts,
                                          lists->n_extent_blocks, lists->extent_sizes);
  CHECK(status == expected, "%s: %d", what, (int)status);
}

/* Any other number in a place is refused, but for a border moved between its neighbours that the
 * sizes of extents do not tell. */
static void break_array(const packing *lists, uint32_t *numbers, uint32_t n, int inner,
                        const char *what) {
  for (uint32_t i = 0; i <= n; i++) {
    const uint32_t kept = numbers[i];
    const uint32_t wrong[] = {0, 1, kept - 1, kept + 1, i > 0 ? numbers[i - 1] : 7, UINT32_MAX};
    for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
      const int rises = i > 0 && i < n && wrong[j] > numbers[i - 1] && wrong[j] < numbers[i + 1];
      if (wrong[j] == kept || (inner && rises)) continue;
      numbers[i] = wrong[j];
      expect(lists, MV_ERROR_CORRUPT, what);
    }
    numbers[i] = kept;
  }
  expect(lists, MV_OK, what);
}

static void break_numbers(packing *lists) {
  static const uint32_t n_lists[] = {0, 1, 5 * 16, 6 * 16 + 1, MV_MAX_CENTROIDS + 1, UINT32_MAX};
  const mv_lists good = lists->view;
  for (size_t i = 0; i < sizeof n_lists / sizeof n_lists[0]; i++) {
    if (n_lists[i] > 6 * 16 && n_lists[i] <= MV_MAX_CENTROIDS) continue; /* a block too many */
    lists->view.n_lists = n_lists[i];
    expect(lists, MV_ERROR_CORRUPT, "lists");
  }
  lists->view = good;
  for (uint32_t n = 0; n < good.n_extents; n++) {
    lists->view.n_extents = n;
    expect(lists, MV_ERROR_CORRUPT, "extents");
  }
  lists->view = good;
  expect(lists, MV_OK, "the view as it was");
}

/* Extents of nothing, and of less: sizes that fit them do not help. */
static void break_extents(const packing *lists) {
  static const uint32_t wrong[][2] = {{2, 2}, {0, 2}, {2, 6}, {4, 2}, {6, 2}, {7, 6}};
  const uint32_t *starts = lists->block_starts;
  uint32_t kept[2];
  size_t sizes[3];
  memcpy(kept, lists->extent_blocks + 1, sizeof kept);
  memcpy(sizes, lists->extent_sizes, sizeof sizes);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    const uint32_t first = wrong[i][0], then = wrong[i][1];
    memcpy(lists->extent_blocks + 1, wrong[i], sizeof wrong[i]);
    if (first <= 6) {
      const uint32_t fit[3] = {starts[first], starts[then] - starts[first],
                               starts[6] - starts[then]};
      for (size_t e = 0; e < 3; e++) lists->extent_sizes[e] = (size_t)fit[e] + MV_LISTS_SLACK;
    }
    expect(lists, MV_ERROR_CORRUPT, "extents that are empty or go back");
  }
  memcpy(lists->extent_blocks + 1, kept, sizeof kept);
  memcpy(lists->extent_sizes, sizes, sizeof sizes);
  expect(lists, MV_OK, "extents as they were");
}

static void test_arrays(void) {
  coded c;
  packing lists;
  coded_draw(&c, &seed, 200, 6 * 16, 2, 9);
  packing_of_codes(&lists, c.codes, 2, c.starts, 200, 6 * 16, 3);
  break_array(&lists, lists.block_starts, 6, 1, "blocks");
  break_array(&lists, lists.extent_blocks, 3, 0, "extents");
  for (uint32_t e = 0; e < 3; e++) {
    const size_t kept = lists.extent_sizes[e];
    const size_t wrong[] = {0, kept - 1, kept + 1, kept - MV_LISTS_SLACK, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
      lists.extent_sizes[e] = wrong[i];
      expect(&lists, MV_ERROR_CORRUPT, "sizes");
    }
    lists.extent_sizes[e] = kept;
  }
  for (int off = -1; off <= 1; off += 2) {
    lists.n_block_starts += (size_t)off;
    expect(&lists, MV_ERROR_CORRUPT, "entries of the array of blocks");
    lists.n_block_starts -= (size_t)off;
    lists.n_extent_blocks += (size_t)off;
    expect(&lists, MV_ERROR_CORRUPT, "entries of the array of extents");
    lists.n_extent_blocks -= (size_t)off;
  }
  break_numbers(&lists);
  break_extents(&lists);
  packing_free(&lists);
  coded_free(&c);
}

int main(void) {
  test_wrong_bytes();
  test_made_up();
  test_arrays();
  return checks_report();
}
