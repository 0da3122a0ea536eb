/* Inverted lists: packed lists are read again, and their bytes are those of the format. */
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
  coded_draw(&c, &seed, n_documents, n_lists, code_bytes, 9);
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

int main(void) {
  test_codes();
  test_outside();
  test_widths();
  test_bytes();
  test_bound();
  return checks_report();
}
