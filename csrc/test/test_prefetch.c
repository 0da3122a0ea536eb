/* Prefetching: which pages are asked for, in how many reads, and that pages elsewhere are left
 * alone and none is written: the buffers are mapped for reading only, those beside the ranges not
 * even for that. */
#define _DEFAULT_SOURCE /* mincore, MAP_ANONYMOUS */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/random.h"
#include "check.h"
#include "collection.h"
#include "packing.h"

static uint64_t seed = 191;

enum { PAGES = 64, DIM = 16, TOKEN = 2 * DIM, N_DOCUMENTS = 90 };

static size_t page;

/* Whole pages of zeros that were never touched. */
static uint8_t *map(size_t pages) {
  void *bytes = mmap(NULL, pages * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(bytes != MAP_FAILED);
  return bytes;
}

/* ---- the model: pages wanted, one behind the other ---- */

typedef struct wanted {
  uint8_t pages[PAGES];
} wanted;

static void want(wanted *w, size_t from, size_t size) {
  for (size_t p = from / page; p * page < from + size; p++) w->pages[p] = 1;
}

static uint64_t wanted_reads(const wanted *w) {
  uint64_t runs = 0;
  for (size_t p = 0; p < PAGES; p++) runs += w->pages[p] && (p == 0 || !w->pages[p - 1]);
  return runs;
}

static uint64_t wanted_bytes(const wanted *w) {
  uint64_t bytes = 0;
  for (size_t p = 0; p < PAGES; p++) bytes += w->pages[p] ? page : 0;
  return bytes;
}

static void check_counts(const wanted *w, uint64_t reads, uint64_t bytes) {
  CHECK(reads == 3 + wanted_reads(w), "%u reads", (unsigned)reads);
  CHECK(bytes == 5 + wanted_bytes(w), "%u bytes", (unsigned)bytes);
}

/* What is not wanted may not even be read. */
static void close_rest(const wanted *w, uint8_t *bytes, int protection) {
  for (size_t p = 0; p < PAGES; p++) {
    if (!w->pages[p]) MUST(mprotect(bytes + p * page, page, protection) == 0);
  }
}

/* The pages that were touched are here now, unless the system does not say. */
static void check_here(const wanted *w, uint8_t *bytes) {
  unsigned char here[PAGES];
  if (mincore(bytes, PAGES * page, (void *)here) != 0) return;
  for (size_t p = 0; p < PAGES; p++) {
    CHECK((here[p] & 1) == 1 || !w->pages[p], "page %zu was not touched", p);
  }
}

/* ---- records ---- */

/* Documents of float16, from less than a page to several pages, from `skip` bytes into the pages
 * on. */
typedef struct documents {
  mv_segment view;
  uint32_t starts[N_DOCUMENTS + 1], chunks[2];
  const uint8_t *records[1];
} documents;

static void documents_build(documents *out, const uint8_t *bytes, size_t skip) {
  memset(out, 0, sizeof *out);
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
    const uint64_t longest = i % 10 == 0 ? 2 * page / TOKEN : page / TOKEN / 3;
    out->starts[i + 1] = out->starts[i] + 1 + (uint32_t)mv_random_below(&seed, longest);
  }
  MUST(skip + out->starts[N_DOCUMENTS] * (size_t)TOKEN <= PAGES * page);
  out->chunks[1] = N_DOCUMENTS;
  out->records[0] = bytes + skip;
  out->view = (mv_segment){.dim = DIM,
                           .n_documents = N_DOCUMENTS,
                           .n_chunks = 1,
                           .starts = out->starts,
                           .chunk_documents = out->chunks,
                           .records = out->records};
}

static void case_records(size_t skip, uint64_t one_in, int how) {
  uint8_t *bytes = map(PAGES);
  documents docs;
  mv_place places[N_DOCUMENTS];
  wanted w = {{0}};
  size_t n = 0;
  documents_build(&docs, bytes, skip);
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
    if (mv_random_below(&seed, one_in) > 0) continue;
    places[n++] = (mv_place){0, i};
    want(&w, skip + docs.starts[i] * (size_t)TOKEN,
         (docs.starts[i + 1] - docs.starts[i]) * (size_t)TOKEN);
  }
  uint64_t reads = 3, all = 5;
  close_rest(&w, bytes, PROT_NONE);
  CHECK(mv_fetch_records(&docs.view, 1, places, n, how, &reads, &all) == MV_OK, "records");
  check_counts(&w, reads, all);
  close_rest(&w, bytes, PROT_READ);
  if (how == MV_FETCH_TOUCH) check_here(&w, bytes);
  for (size_t i = 0; i < PAGES * page; i += 97) CHECK(bytes[i] == 0, "written at %zu", i);
  MUST(munmap(bytes, PAGES * page) == 0);
}

/* Behind each other they are one read, before each other two; what is no place is refused. */
static void check_places(int how) {
  uint8_t *bytes = map(PAGES);
  documents docs;
  documents_build(&docs, bytes, 0);
  docs.starts[1] = (uint32_t)page / TOKEN; /* two documents of a page each */
  docs.starts[2] = 2 * (uint32_t)page / TOKEN;
  docs.starts[3] = docs.starts[2] + 10; /* a short one, and one from its page to the next */
  docs.starts[4] = 4 * (uint32_t)page / TOKEN;
  static const mv_place rise[] = {{0, 0}, {0, 1}}, fall[] = {{0, 1}, {0, 0}},
                        same[] = {{0, 1}, {0, 1}};
  static const mv_place inside[] = {{0, 3}, {0, 2}};
  static const mv_place wrong[] = {{1, 0}, {0, N_DOCUMENTS}};
  static const struct {
    const mv_place *places;
    uint64_t reads, pages;
  } cases[] = {{rise, 1, 2}, {fall, 2, 2}, {same, 1, 1}, {inside, 1, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t reads = 0, all = 0;
    CHECK(mv_fetch_records(&docs.view, 1, cases[i].places, 2, how, &reads, &all) == MV_OK, "two");
    CHECK(reads == cases[i].reads && all == cases[i].pages * page, "case %zu: %u reads", i,
          (unsigned)reads);
  }
  for (size_t i = 0; i < 2; i++) {
    uint64_t reads = 0, all = 0;
    CHECK(mv_fetch_records(&docs.view, 1, &wrong[i], 1, how, &reads, &all) == MV_ERROR_ARGUMENT,
          "place %zu", i);
    CHECK(mv_fetch_records(&docs.view, 1, wrong, 0, how, &reads, &all) == MV_OK, "none");
    CHECK(reads == 0 && all == 0, "nothing was to be read");
  }
  MUST(munmap(bytes, PAGES * page) == 0);
}

/* With inline codes a document begins at its codes: a document that fills a page is one page. */
static void check_inline(void) {
  enum { TOKENS = 150 };
  const uint32_t length[] = {TOKENS};
  model used;
  collection apart, docs;
  float *vectors = draw_rows(&seed, TOKENS, DIM);
  model_train(&used, (model_shape){DIM, 8, 5, 2}, vectors, TOKENS);
  collection_build(&apart, &used, DIM, vectors, length, 1, 1);
  collection_inline(&docs, &apart);
  uint8_t *bytes = map(PAGES);
  const uint8_t *records[] = {bytes + page - 1}; /* the first code begins on a page before */
  const mv_place place = {0, 0};
  wanted w = {{0}};
  uint64_t reads = 3, all = 5;
  docs.view.records = records;
  want(&w, page - 1, docs.records_sizes[0]);
  close_rest(&w, bytes, PROT_NONE);
  CHECK(mv_fetch_records(&docs.view, 1, &place, 1, MV_FETCH_TOUCH, &reads, &all) == MV_OK, "in");
  check_counts(&w, reads, all);
  MUST(munmap(bytes, PAGES * page) == 0);
  collection_free(&docs);
  collection_free(&apart);
  model_free(&used);
  free(vectors);
}

/* ---- lists ---- */

static void case_lists(size_t skip, uint64_t one_in, int how) {
  enum { BLOCKS = 50, N_LISTS = BLOCKS * MV_LISTS_BLOCK - 3, FIRST = 20 };
  uint8_t *bytes = map(PAGES);
  uint32_t starts[BLOCKS + 1] = {0}, blocks[BLOCKS], extent_blocks[] = {0, FIRST, BLOCKS};
  for (uint32_t b = 0; b < BLOCKS; b++) {
    starts[b + 1] = starts[b] + 1 + (uint32_t)mv_random_below(&seed, b % 9 ? page : page * 3 / 2);
  }
  const size_t gap = 3 * page; /* the second extent is further away than the first is long */
  const uint8_t *const extents[] = {bytes + skip, bytes + skip + gap + starts[FIRST]};
  const mv_lists lists = {N_LISTS, 2, starts, extent_blocks, extents, NULL};
  MUST(skip + gap + starts[BLOCKS] <= PAGES * page);
  wanted w = {{0}};
  size_t n = 0;
  for (uint32_t b = 0; b < BLOCKS; b++) {
    if (mv_random_below(&seed, one_in) > 0) continue;
    blocks[n++] = b;
    want(&w, skip + (b < FIRST ? 0 : gap) + starts[b], starts[b + 1] - starts[b]);
  }
  uint64_t reads = 3, all = 5;
  close_rest(&w, bytes, PROT_NONE);
  CHECK(mv_fetch_lists(&lists, blocks, n, how, &reads, &all) == MV_OK, "lists");
  check_counts(&w, reads, all);
  close_rest(&w, bytes, PROT_READ);
  if (how == MV_FETCH_TOUCH) check_here(&w, bytes);
  const uint32_t beyond = BLOCKS;
  CHECK(mv_fetch_lists(&lists, &beyond, 1, how, &reads, &all) == MV_ERROR_ARGUMENT, "no block");
  MUST(munmap(bytes, PAGES * page) == 0);
}

int main(void) {
  page = (size_t)sysconf(_SC_PAGESIZE);
  for (int how = MV_FETCH_HINT; how <= MV_FETCH_TOUCH; how++) {
    for (uint64_t one_in = 1; one_in <= 20; one_in += 3) {
      case_records(0, one_in, how);
      case_records(777, one_in, how);
      case_lists(0, one_in, how);
      case_lists(page - 1, one_in, how);
    }
    check_places(how);
  }
  check_inline();
  return checks_report();
}
