/* Times each kernel of each table this processor supports.
 * One line each: kernel isa lanes dim bits ns, where ns is the least time per row or code over
 * several repetitions, and a column that does not apply is 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../kernels/kernels.h"
#include "../mvdb.h"
#include "isa_names.h"

enum { ROWS = 120, DIM = 128, SMALL_TABLE = 1 << 14, LARGE_TABLE = 1 << 18, DOCUMENTS = 256 };
enum { GAP_BITS = 11 /* of a list of a hundredth of the documents */ };

static uint8_t rows[ROWS * DIM * 2], packed[ROWS * DIM / 2], byte_table[LARGE_TABLE * 32];
static uint8_t codes[DOCUMENTS * ROWS * 3], levels[16], best_byte[32], narrow_byte[ROWS * 32];
static int8_t query[DIM * 32];
static int16_t word_table[SMALL_TABLE * 32], narrow_word[ROWS * 32], low[32], high[32];
static int32_t bias[32], dots[ROWS * 32], best_int[32];
static uint32_t arg[32];
/* Rows of codes: of a sixth of the centroids, as partial tables have them. */
static uint16_t row_of[LARGE_TABLE];
static float a[ROWS], b[ROWS], unit[32], query_float[DIM * 32], best_float[32];

/* What one timing needs to know; `document` picks another stretch of codes each time. */
typedef struct setting {
  const mv_kernels *k;
  size_t lanes;
  unsigned bits;
  size_t code_bytes;
  size_t document;
} setting;

static void run_dot7(const setting *s) {
  s->k->dot7(rows, DIM, ROWS, DIM, query, s->lanes, bias, dots);
}
static void run_dot8(const setting *s) {
  s->k->dot8(rows, DIM, ROWS, DIM, query, s->lanes, bias, dots);
}
static void run_unpack(const setting *s) {
  const uint8_t *at[ROWS];
  for (size_t i = 0; i < ROWS; i++) at[i] = packed + i * DIM * s->bits / 8;
  s->k->unpack(at, ROWS, DIM, s->bits, levels, rows);
}
static void run_interact(const setting *s) {
  const uint8_t *at = codes + s->document * ROWS * s->code_bytes;
  s->k->interact(at, ROWS, s->code_bytes, row_of, sizeof *row_of, byte_table, s->lanes, best_byte);
}
static void run_maxsim(const setting *s) {
  const uint8_t *at = codes + s->document * ROWS * s->code_bytes;
  s->k->maxsim(dots, ROWS, s->lanes, a, b, at, s->code_bytes, word_table, unit, best_float);
}
static void run_score(const setting *s) {
  run_unpack(s);
  run_dot7(s);
  run_maxsim(s);
}
static void run_maxsim_f16(const setting *s) {
  s->k->maxsim_f16(rows, ROWS, DIM, query_float, s->lanes, best_float);
}
static void run_argmax(const setting *s) { s->k->argmax(dots, ROWS, s->lanes, 0, best_int, arg); }
static void run_narrow16(const setting *s) {
  s->k->narrow16(dots, ROWS, s->lanes, unit, narrow_word, low, high);
}
static void run_narrow8(const setting *s) {
  s->k->narrow8(narrow_word, ROWS, s->lanes, low, unit, narrow_byte);
}

/* As many postings as a document has rows. */
static void run_ascend(const setting *s) {
  static uint32_t numbers[2][MV_LISTS_RUN];
  s->k->ascend(packed + s->document, MV_LISTS_RUN, GAP_BITS, 0, numbers[0]);
  s->k->ascend(packed + s->document, ROWS - MV_LISTS_RUN, GAP_BITS, 0, numbers[1]);
}

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *name, void (*run)(const setting *), setting s, unsigned dim) {
  enum { REPEATS = 15 };
  const size_t documents = s.k == &mv_kernels_scalar ? DOCUMENTS / 16 : DOCUMENTS;
  double least = 1e30;
  for (int i = 0; i < REPEATS; i++) {
    const double start = now();
    for (s.document = 0; s.document < documents; s.document++) run(&s);
    const double time = (now() - start) / (double)(documents * ROWS);
    if (time < least) least = time;
  }
  printf("%s %s %zu %u %u %.2f\n", name, s.k->name, s.lanes, dim, s.bits, least);
}

/* Codes of a table of `size` entries, of 2 bytes if they fit. */
static void fill_codes(size_t size, size_t code_bytes) {
  for (size_t i = 0; i < (size_t)DOCUMENTS * ROWS; i++) {
    const size_t code = ((size_t)rand() * 32768 + (size_t)rand()) % size;
    for (size_t j = 0; j < code_bytes; j++) codes[i * code_bytes + j] = (uint8_t)(code >> (8 * j));
  }
}

static void fill(void) {
  for (size_t i = 0; i < sizeof packed; i++) packed[i] = (uint8_t)rand();
  for (size_t i = 0; i < sizeof byte_table; i++) byte_table[i] = (uint8_t)rand();
  for (size_t i = 0; i < sizeof query; i++) query[i] = (int8_t)(rand() % 255 - 127);
  for (size_t i = 0; i < sizeof levels; i++) levels[i] = (uint8_t)(i * 8);
  for (size_t i = 0; i < DIM * 32; i++) query_float[i] = (float)query[i] / 127.0f;
  for (size_t i = 0; i < SMALL_TABLE * 32; i++) word_table[i] = (int16_t)(rand() % 65536 - 32768);
  for (size_t i = 0; i < 32; i++) unit[i] = 0x1p-16f;
  for (size_t i = 0; i < ROWS; i++) a[i] = b[i] = 0.5f;
  for (size_t i = 0; i < LARGE_TABLE; i++) row_of[i] = (uint16_t)(i / 6);
  for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)(i % 2 ? 0x3c : i % 128);
}

static void bench(const mv_kernels *k) {
  for (size_t lanes = MV_LANES_MAX; lanes > 0; lanes -= MV_LANES_LEAST) {
    if (lanes != MV_LANES_LEAST && lanes % k->lanes_step != 0) continue;
    setting s = {.k = k, .lanes = lanes, .code_bytes = 2};
    fill_codes(SMALL_TABLE, 2);
    report("maxsim_f16", run_maxsim_f16, s, DIM); /* before rows become levels */
    report("dot7", run_dot7, s, DIM);
    report("dot8", run_dot8, s, DIM);
    report("interact16k", run_interact, s, 0);
    report("maxsim", run_maxsim, s, 0);
    report("argmax", run_argmax, s, 0);
    report("narrow16", run_narrow16, s, 0);
    report("narrow8", run_narrow8, s, 0);
    for (s.bits = 1; s.bits <= 4; s.bits *= 2) {
      report("unpack", run_unpack, s, DIM);
      report("unpack+dot7+maxsim", run_score, s, DIM);
    }
    s.bits = 0;
    s.code_bytes = 3;
    fill_codes(LARGE_TABLE, 3);
    report("interact256k", run_interact, s, 0);
    if (lanes == MV_LANES_MAX) report("ascend", run_ascend, s, 0);
  }
}

int main(int argc, char **argv) {
  fill();
  for (size_t i = 0; i < N_ISAS; i++) {
    if (argc > 1 && strcmp(argv[1], isa_names[i]) != 0) continue;
    if (mv_isa_select(isa_names[i])) bench(mv_kernels_get());
  }
  return 0;
}
