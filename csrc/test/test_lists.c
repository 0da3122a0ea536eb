/* Inverted lists: what was packed is read again, the bytes are those of the format, and bytes that
 * are wrong are refused or give documents in order, never more than there are. */
#include <string.h>

#include "../base/random.h"
#include "../postings/lists.h"
#include "check.h"
#include "packing.h"

static uint64_t seed = 131;

/* ---- the format, read bit by bit ---- */

static uint32_t naive_varint(const uint8_t **at) {
  uint32_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const uint8_t byte = *(*at)++;
    value |= (uint32_t)(byte & 127) << shift;
    if (byte < 128) return value;
  }
}

static int widths_seen[33];

/* Documents of the list at `wanted` in a block; how many. */
static uint32_t naive_list(const uint8_t *block, uint32_t n_lists, uint32_t wanted,
                           uint32_t *documents) {
  const uint8_t *at = block;
  uint32_t n = 0, before = 0, bytes = 0;
  for (uint32_t i = 0; i < n_lists; i++) {
    const uint32_t count = naive_varint(&at), length = naive_varint(&at);
    if (i < wanted) before += length;
    if (i == wanted) n = count, bytes = length;
  }
  const uint8_t *const body = at + before;
  uint64_t document = 0, at_bit = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (i % MV_LISTS_RUN == 0) at_bit = (at_bit + 7) / 8 * 8 + 8;
    const uint64_t run_bit = at_bit;
    uint64_t gap = 0;
    uint32_t run = n - i < MV_LISTS_RUN ? n - i : MV_LISTS_RUN;
    const unsigned width = body[run_bit / 8 - 1];
    widths_seen[width] = 1;
    for (uint32_t j = 0; j < run; j++) {
      gap = 0;
      for (unsigned bit = 0; bit < width; bit++, at_bit++) {
        gap |= (uint64_t)(body[at_bit / 8] >> at_bit % 8 & 1) << bit;
      }
      document += gap;
      documents[i + j] = (uint32_t)document++;
    }
    i += run - 1;
  }
  CHECK((at_bit + 7) / 8 == bytes, "a body of %u bytes, %u documents", bytes, n);
  return n;
}

/* ---- reading ---- */

/* Reads a list wholly; how many documents, or UINT32_MAX when it is corrupt. What is read must rise
 * and stay below n_documents in any case. */
static uint32_t read_list(const mv_lists *lists, uint32_t number, uint32_t n_documents,
                          uint32_t *documents, size_t most) {
  mv_list list;
  uint32_t last = UINT32_MAX, n = 0, previous = 0;
  mv_status status = mv_list_find(lists, number, &list);
  while (status == MV_OK && list.n > 0) {
    uint32_t run[MV_LISTS_RUN];
    size_t count = 0;
    status = mv_list_run(&list, &last, n_documents, run, &count);
    if (status != MV_OK) break;
    CHECK(count >= 1 && count <= MV_LISTS_RUN, "a run of %zu", count);
    CHECK(run[count - 1] == last, "the last document of a run");
    for (size_t i = 0; i < count; i++, n++) {
      CHECK((n == 0 || run[i] > previous) && run[i] < n_documents, "document %u", run[i]);
      previous = run[i];
      if (n < most) documents[n] = run[i];
    }
  }
  CHECK(status == MV_OK || status == MV_ERROR_CORRUPT, "status %d", (int)status);
  return status == MV_OK ? n : UINT32_MAX;
}

static void check_list(const packing *lists, uint32_t number, uint32_t n_documents,
                       const uint32_t *expected, uint32_t n) {
  uint32_t *got = room((size_t)n + MV_LISTS_RUN, sizeof *got);
  CHECK(read_list(&lists->view, number, n_documents, got, n) == n, "list %u of %u", number, n);
  CHECK(memcmp(got, expected, n * sizeof *got) == 0, "list %u", number);
  const uint32_t block = number / MV_LISTS_BLOCK, first = block * MV_LISTS_BLOCK;
  const uint32_t inside =
      lists->view.n_lists - first < MV_LISTS_BLOCK ? lists->view.n_lists - first : MV_LISTS_BLOCK;
  size_t size;
  const uint8_t *bytes = mv_lists_block(&lists->view, block, &size);
  CHECK(naive_list(bytes, inside, number - first, got) == n, "list %u by bits", number);
  CHECK(memcmp(got, expected, n * sizeof *got) == 0, "list %u by bits", number);
  free(got);
}

/* ---- from codes ---- */

typedef struct coded {
  uint32_t n_documents, n_lists;
  uint32_t *starts;
  uint32_t *numbers;
  uint8_t *codes;
  size_t code_bytes;
} coded;

/* Few lists are long, many are short, some are empty. */
static void coded_draw(coded *out, uint32_t n_documents, uint32_t n_lists, size_t code_bytes,
                       uint32_t longest) {
  out->n_documents = n_documents;
  out->n_lists = n_lists;
  out->code_bytes = code_bytes;
  out->starts = room((size_t)n_documents + 1, sizeof(uint32_t));
  out->starts[0] = 0;
  for (uint32_t i = 0; i < n_documents; i++) {
    out->starts[i + 1] = out->starts[i] + 1 + (uint32_t)mv_random_below(&seed, longest);
  }
  out->numbers = room(out->starts[n_documents], sizeof(uint32_t));
  for (uint32_t t = 0; t < out->starts[n_documents]; t++) {
    const double x = draw_uniform(&seed);
    out->numbers[t] = (uint32_t)((double)n_lists * x * x * x);
  }
  out->codes = codes_of(out->numbers, out->starts[n_documents], code_bytes);
}

static void coded_free(coded *used) {
  free(used->starts);
  free(used->numbers);
  free(used->codes);
}

/* The documents with a token of this number, ascending; how many. */
static uint32_t naive_documents(const coded *c, uint32_t number, uint32_t *documents) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->n_documents; i++) {
    int has = 0;
    for (uint32_t t = c->starts[i]; t < c->starts[i + 1]; t++) has |= c->numbers[t] == number;
    if (has) documents[n++] = i;
  }
  return n;
}

static void case_codes(uint32_t n_documents, uint32_t n_lists, size_t code_bytes,
                       uint32_t n_extents) {
  coded c;
  packing lists;
  coded_draw(&c, n_documents, n_lists, code_bytes, 9);
  packing_of_codes(&lists, c.codes, code_bytes, c.starts, n_documents, n_lists, n_extents);
  uint32_t *expected = room(n_documents, sizeof *expected);
  const uint32_t step = n_lists > 2000 ? n_lists / 701 : 1;
  for (uint32_t number = 0; number < n_lists; number += step) {
    check_list(&lists, number, n_documents, expected, naive_documents(&c, number, expected));
  }
  for (uint32_t t = 0; t < 40; t++) {
    const uint32_t number = c.numbers[mv_random_below(&seed, c.starts[n_documents])];
    check_list(&lists, number, n_documents, expected, naive_documents(&c, number, expected));
  }
  packing_free(&lists);
  free(expected);
  coded_free(&c);
}

static void test_codes(void) {
  static const uint32_t lists[] = {1, 2, 15, 16, 17, 32, 100, 333};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    for (size_t bytes = 2; bytes <= 3; bytes++) {
      case_codes(1, lists[i], bytes, 1);
      case_codes(70, lists[i], bytes, 2);
      case_codes(1000, lists[i], bytes, 5);
    }
  }
  case_codes(300, 65536, 2, 7);
  case_codes(300, 70000, 3, 100000);
}

/* A code that no list has. */
static void test_outside(void) {
  static const uint32_t starts[] = {0, 1, 3}, numbers[] = {4, 0, 5};
  uint32_t counts[6];
  for (size_t bytes = 2; bytes <= 3; bytes++) {
    uint8_t *codes = codes_of(numbers, 3, bytes);
    CHECK(mv_lists_count(codes, 3 * bytes, bytes, starts, 2, 6, counts) == MV_OK, "five is inside");
    CHECK(mv_lists_count(codes, 3 * bytes, bytes, starts, 2, 5, counts) == MV_ERROR_CORRUPT,
          "five is out");
    CHECK(mv_lists_count(codes, bytes, bytes, starts, 1, 5, counts) == MV_OK,
          "not of this document");
    CHECK(counts[4] == 1 && counts[0] == 0, "counted %u, %u", counts[4], counts[0]);
    CHECK(mv_lists_count(codes, bytes, bytes, starts, 2, 6, counts) == MV_ERROR_CORRUPT,
          "codes of fewer tokens");
    free(codes);
  }
}

/* ---- from documents ---- */

/* One list behind an empty one: n documents with gaps of up to `width` bits, the widest first. */
static void case_width(unsigned width, uint32_t n) {
  const uint64_t widest = ((uint64_t)1 << width) - 1;
  uint32_t *documents = room(n, sizeof *documents);
  uint64_t next = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t left = UINT32_MAX - 1 - next - (n - i);
    const uint64_t reach = widest < left / 2 ? widest : left / 2;
    next += i == 0 && widest <= left ? widest : mv_random_below(&seed, reach + 1);
    documents[i] = (uint32_t)next++;
  }
  const uint32_t counts[3] = {0, n, 0}, last = documents[n - 1];
  packing lists;
  packing_build(&lists, counts, documents, 3, 1);
  check_list(&lists, 0, last + 1, documents, 0);
  check_list(&lists, 1, last + 1, documents, n);
  check_list(&lists, 2, last + 1, documents, 0);
  CHECK(read_list(&lists.view, 1, last, documents, 0) == UINT32_MAX, "a document too many");
  packing_free(&lists);
  free(documents);
}

static void test_widths(void) {
  static const uint32_t counts[] = {1, 2, 63, 64, 65, 128, 129, 1000};
  for (unsigned width = 0; width <= 32; width++) {
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
      if (width < 32 || counts[i] == 1) case_width(width, counts[i]);
    }
  }
  /* The greatest number there is. */
  static const uint32_t far[] = {0xfffffffd, 0, 0xfffffffd}, n[] = {1, 2};
  packing lists;
  packing_build(&lists, n, far, 2, 1);
  check_list(&lists, 0, 0xfffffffe, far, 1);
  check_list(&lists, 1, 0xfffffffe, far + 1, 2);
  packing_free(&lists);
  for (unsigned width = 0; width <= 32; width++) CHECK(widths_seen[width], "width %u", width);
}

/* All bytes of three lists, two of them of several runs. */
static void test_bytes(void) {
  static const uint8_t expected[] = {
      2, 3,    0,    0, 66, 3, /* documents and bytes of each list */
      5, 0x09, 0x02,           /* {9, 26}: gaps 9 and 16 of five bits */
      0, 2,    0x0b,           /* 0 .. 63, then {67, 70}: gaps 3 and 2 of two bits */
  };
  uint32_t documents[68] = {9, 26}, n[] = {2, 0, 66}, size;
  for (uint32_t i = 0; i < 64; i++) documents[2 + i] = i;
  documents[66] = 67;
  documents[67] = 70;
  packing lists;
  packing_build(&lists, n, documents, 3, 1);
  size = lists.block_starts[1];
  CHECK(size == sizeof expected, "%u bytes", size);
  CHECK(memcmp(lists.extents[0], expected, sizeof expected) == 0, "other bytes");
  packing_free(&lists);
}

/* Nothing needs more room than the bound: gaps as wide as there are, lists of every length. */
static void test_bound(void) {
  for (uint32_t n_lists = 0; n_lists <= 40; n_lists += 5) {
    for (uint32_t longest = 1; longest <= 1000; longest *= 10) {
      uint32_t counts[40], sizes[3], *documents = room((size_t)n_lists * longest + 1, 4);
      uint32_t total = 0;
      for (uint32_t c = 0; c < n_lists; c++) {
        counts[c] = c % 3 == 0 ? longest : (uint32_t)mv_random_below(&seed, longest + 1);
        for (uint32_t i = 0; i < counts[c]; i++) {
          documents[total++] = UINT32_MAX - 1 - (counts[c] - 1 - i) * (1 + c % 2 * 4000000);
        }
      }
      const size_t bound = mv_lists_bound(counts, n_lists);
      uint8_t *out = room(bound, 1); /* the sanitiser watches its end */
      size_t size = 99;
      MUST(mv_lists_pack(counts, documents, n_lists, out, sizes, &size) == MV_OK);
      CHECK(size <= bound && (n_lists > 0 || size == 0), "%zu of %zu bytes", size, bound);
      free(out);
      free(documents);
    }
  }
}

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
  out->view = (mv_lists){n_lists, 1, out->starts, out->blocks, out->extents};
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
  coded_draw(&c, WRONG_DOCUMENTS, WRONG_LISTS, 2, 3);
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
  coded_draw(&c, 200, 6 * 16, 2, 9);
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
  test_codes();
  test_outside();
  test_widths();
  test_bytes();
  test_bound();
  test_wrong_bytes();
  test_made_up();
  test_arrays();
  return checks_report();
}
