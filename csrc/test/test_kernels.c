/* The kernels on integers, and the choice of a table: every table against a naive computation of
 * what kernels.h promises. */
#include "../base/bits.h"
#include "../kernels/centroid_code.h"
#include "kernel_cases.h"

/* dot7, dot8 */

enum extremes { ANY, LARGEST, SMALLEST, N_EXTREMES };

static void case_dot(size_t n, size_t dim, size_t lanes, size_t gap, int row_bits,
                     enum extremes extremes) {
  const size_t stride = dim + gap;
  uint8_t *rows = buffer((n - 1) * stride + dim, 1);
  int8_t *query = buffer(dim * lanes, 1);
  int32_t *bias = buffer(lanes, 4);
  int32_t *expected = buffer(n * lanes, 4);
  int32_t *out = buffer(n * lanes, 4);
  const int top = (1 << row_bits) - 1;
  for (size_t i = 0; i < (n - 1) * stride + dim; i++) {
    rows[i] = (uint8_t)(extremes == ANY ? draw(0, top) : top);
  }
  for (size_t i = 0; i < dim * lanes; i++) {
    query[i] = (int8_t)(extremes == ANY ? draw(-127, 127) : extremes == LARGEST ? 127 : -127);
  }
  for (size_t l = 0; l < lanes; l++) bias[l] = (int32_t)draw(-1000000, 1000000);
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      int64_t sum = bias[l];
      for (size_t d = 0; d < dim; d++) {
        sum += (int64_t)rows[t * stride + d] * query[(d / 4) * lanes * 4 + l * 4 + d % 4];
      }
      expected[t * lanes + l] = (int32_t)sum;
    }
  }
  const size_t begun[] = {0, dim, dim > 16 ? dim - 16 : 80}; /* products of these have begun */
  for (size_t i = 0; i < 3 * n_tables; i++) {
    const mv_kernels *table = tables[i / 3];
    if (!takes(table, lanes)) continue;
    memset(out, 0x55, n * lanes * 4);
    if (begun[i % 3] > 0) mv_begin_products(table, begun[i % 3]);
    (row_bits == 7 ? table->dot7 : table->dot8)(rows, stride, n, dim, query, lanes, bias, out);
    if (begun[i % 3] > 0) mv_end_products(table);
    CHECK(memcmp(out, expected, n * lanes * 4) == 0, "%s dot%d n %zu dim %zu lanes %zu begun %zu",
          table->name, row_bits, n, dim, lanes, begun[i % 3]);
  }
  release();
}

static void test_dot(void) {
  static const size_t dims[] = {16, 32, 48, 96, 112, 128, 144, 768, 4096};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    for (size_t j = 0; j < N_SOME; j++) {
      for (int b = 7; b <= 8; b++) {
        for (int x = 0; x < N_EXTREMES; x++) {
          for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8)
            case_dot(some_n[j], dims[i], lanes, j % 3, b, (enum extremes)x);
        }
      }
    }
  }
}

/* unpack */

static void case_unpack(size_t n, size_t dim, unsigned bits) {
  const size_t width = dim * bits / 8;
  uint8_t *rows = buffer(n * width, 1);
  const uint8_t **packed = buffer(n, sizeof *packed);
  uint8_t *expected = buffer(n * dim, 1);
  uint8_t *out = buffer(n * dim, 1);
  uint8_t *levels = buffer(16, 1);
  for (size_t i = 0; i < n * width; i++) rows[i] = (uint8_t)draw(0, 255);
  for (size_t t = 0; t < n; t++) packed[t] = rows + (n - 1 - t) * width;
  for (size_t i = 0; i < 16; i++) levels[i] = (uint8_t)draw(0, 127);
  for (size_t t = 0; t < n; t++) {
    for (size_t d = 0; d < dim; d++) {
      unsigned code = 0;
      for (unsigned bit = 0; bit < bits; bit++) {
        const size_t at = (d / width) * bits + bit;
        code |= ((unsigned)packed[t][d % width] >> at & 1U) << bit;
      }
      expected[t * dim + d] = levels[code];
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    memset(out, 0x55, n * dim);
    tables[i]->unpack(packed, n, dim, bits, levels, out);
    CHECK(memcmp(out, expected, n * dim) == 0, "%s unpack n %zu dim %zu bits %u", tables[i]->name,
          n, dim, bits);
  }
  release();
}

static void test_unpack(void) {
  for (unsigned bits = 1; bits <= 4; bits *= 2) {
    for (size_t dim = 16; dim <= 4096; dim += dim < 600 ? 16 : 496) {
      for (size_t j = 0; j < N_SOME; j++) case_unpack(some_n[j], dim, bits);
    }
  }
}

/* interact */

static void case_interact(size_t n, size_t code_bytes, size_t index_bytes, size_t lanes, int top) {
  const size_t index_n = code_bytes == 3 ? 70000 : n % 2 ? 65536 : 300;
  const size_t table_n = index_bytes == 4 ? 66000 : 65536;
  size_t numbers[67];
  uint8_t *codes = draw_codes(n, code_bytes, index_n, numbers);
  uint8_t *table = buffer(table_n * lanes, 1);
  void *index = buffer(index_n, index_bytes);
  for (size_t i = 0; i < index_n; i++) {
    mv_index_write(index, i, index_bytes, (size_t)draw(0, (int64_t)table_n - 1));
  }
  uint8_t *out = buffer(lanes, 1);
  uint8_t expected[MV_LANES_MAX] = {0};
  for (size_t i = 0; i < table_n * lanes; i++) table[i] = (uint8_t)draw(0, top);
  for (size_t t = 0; t < n; t++) {
    for (size_t l = 0; l < lanes; l++) {
      const uint8_t v = table[mv_index_read(index, numbers[t], index_bytes) * lanes + l];
      if (v > expected[l]) expected[l] = v;
    }
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    memset(out, 0x55, lanes);
    tables[i]->interact(codes, n, code_bytes, index, index_bytes, table, lanes, out);
    CHECK(memcmp(out, expected, lanes) == 0, "%s interact n %zu code_bytes %zu lanes %zu",
          tables[i]->name, n, code_bytes, lanes);
  }
  release();
}

static void test_interact(void) {
  for (size_t j = 0; j < N_SOME; j++) {
    for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
      for (size_t index_bytes = 2; index_bytes <= 4; index_bytes += 2) {
        case_interact(some_n[j], 2, index_bytes, lanes, 255);
        case_interact(some_n[j], 3, index_bytes, lanes, 255);
      }
      case_interact(some_n[j], 2, 2, lanes, 0);
    }
  }
}

/* above: one entry of a row that counts, in any place and behind any number of rows that do not. */

static void check_above(const int16_t *table, size_t n, size_t lanes, const int16_t *least) {
  size_t expected = 0;
  for (int any = 0; expected < n && !any; expected += !any) {
    for (size_t l = 0; l < lanes; l++) any |= table[expected * lanes + l] > least[l];
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    const size_t found = tables[i]->above(table, n, lanes, least);
    CHECK(found == expected, "%s above n %zu lanes %zu: %zu, not %zu", tables[i]->name, n, lanes,
          found, expected);
  }
}

static void case_above(size_t n, size_t lanes, int extreme) {
  int16_t *table = buffer(n * lanes, 2), *least = buffer(lanes, 2);
  for (size_t l = 0; l < lanes; l++) {
    least[l] = (int16_t)(extreme < 0 ? INT16_MIN : extreme > 0 ? INT16_MAX : draw(-3000, 3000));
  }
  for (size_t i = 0; i < n * lanes; i++) {
    const int16_t bound = least[i % lanes];
    table[i] = (int16_t)(i % 3 || extreme < 0 ? bound : bound - draw(0, 20000));
  }
  check_above(table, n, lanes, least);
  for (size_t l = 0; extreme <= 0 && l < lanes; l++) {
    const size_t at = (size_t)draw(0, (int64_t)n - 1) * lanes + l;
    const int16_t kept = table[at];
    table[at] = (int16_t)(least[l] + 1);
    check_above(table, n, lanes, least);
    table[at] = INT16_MAX;
    check_above(table, n, lanes, least);
    if (l % 2) table[at] = kept;
  }
  release();
}

static void test_above(void) {
  const int16_t none[MV_LANES_MAX] = {0};
  for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
    for (size_t j = 0; j < N_SOME; j++) {
      for (int extreme = -1; extreme <= 1; extreme++) case_above(some_n[j], lanes, extreme);
    }
    check_above(none, 0, lanes, none);
  }
}

/* codes_above: rows behind the first ones, which may exceed their bounds too, are no rows. */

static void case_codes_above(size_t n, size_t code_bytes, size_t index_bytes, size_t lanes) {
  enum { CENTROIDS = 300, ROWS = 200, FIRST = 120 };
  uint8_t *codes = buffer(n * code_bytes, 1);
  void *index = buffer(CENTROIDS, index_bytes);
  int16_t *table = buffer(ROWS * lanes, 2), *least = buffer(lanes, 2);
  uint32_t *expected = buffer(n, 4), *out = buffer(n, 4);
  const size_t from = n / 3;
  size_t count = 0;
  for (size_t t = 0; t < n; t++) mv_code_write(codes, t, code_bytes, (uint32_t)draw(0, 299));
  for (size_t i = 0; i < CENTROIDS; i++) {
    mv_index_write(index, i, index_bytes, (size_t)draw(0, ROWS - 1));
  }
  for (size_t l = 0; l < lanes; l++) least[l] = (int16_t)draw(-300, 300);
  for (size_t i = 0; i < ROWS * lanes; i++) { /* half of the rows exceed in one lane */
    const int exceeds = i / lanes % 2 == 0 && i % lanes == i / lanes / 2 % lanes;
    table[i] = (int16_t)(least[i % lanes] + (exceeds ? 1 : -draw(0, 400)));
  }
  for (size_t t = from; t < n; t++) {
    const size_t row = mv_index_read(index, mv_code_read(codes, t, code_bytes), index_bytes);
    if (row < FIRST && row % 2 == 0) expected[count++] = (uint32_t)t;
  }
  for (size_t i = 0; i < n_tables; i++) {
    if (!takes(tables[i], lanes)) continue;
    memset(out, 255, n * sizeof *out);
    const size_t found = tables[i]->codes_above(codes, from, n, code_bytes, index, index_bytes,
                                                FIRST, table, lanes, least, out);
    CHECK(found == count && memcmp(out, expected, count * sizeof *out) == 0,
          "%s codes_above n %zu code_bytes %zu lanes %zu: %zu, not %zu", tables[i]->name, n,
          code_bytes, lanes, found, count);
  }
  release();
}

static void test_codes_above(void) {
  for (size_t lanes = 8; lanes <= MV_LANES_MAX; lanes += 8) {
    for (size_t j = 0; j < N_SOME; j++) {
      for (size_t index_bytes = 2; index_bytes <= 4; index_bytes += 2) {
        case_codes_above(some_n[j], 2, index_bytes, lanes);
        case_codes_above(some_n[j], 3, index_bytes, lanes);
      }
    }
  }
}

/* ascend: as many bytes behind the gaps as may be read, and what they hold must not matter. */

static void case_ascend(size_t n, unsigned width, uint64_t first) {
  const size_t bytes = mv_bits_bytes(n, width);
  uint8_t *packed = buffer(bytes + MV_BITS_SLACK, 1);
  uint32_t *gaps = buffer(n, 4), *expected = buffer(n, 4), *out = buffer(n, 4);
  const int64_t largest = ((int64_t)1 << width) - 1;
  uint64_t next = first;
  for (size_t i = 0; i < n; i++) {
    gaps[i] = (uint32_t)(i % 3 ? draw(0, largest) : largest);
    expected[i] = (uint32_t)(next + gaps[i]);
    next += (uint64_t)gaps[i] + 1;
  }
  memset(packed, 0, bytes);
  memset(packed + bytes, 0xa5, MV_BITS_SLACK);
  mv_bits_write(packed, gaps, n, width);
  for (size_t i = 0; i < n_tables; i++) {
    memset(out, 0x55, n * 4);
    const uint64_t end = tables[i]->ascend(packed, n, width, first, out);
    CHECK(end == next && memcmp(out, expected, n * 4) == 0, "%s ascend n %zu width %u first %llu",
          tables[i]->name, n, width, (unsigned long long)first);
  }
  release();
}

static void test_ascend(void) {
  for (unsigned width = 0; width <= 32; width++) {
    for (size_t n = 1; n <= 64; n++) {
      case_ascend(n, width, n % 2 ? 0 : (uint64_t)draw(0, UINT32_MAX));
    }
    case_ascend(64, width, UINT32_MAX);
  }
}

/* count_bits, count_before, ranks: against counting bit by bit. */

static void case_set_bits(size_t n_words, int64_t share) {
  const size_t n = n_words * 64, n_pairs = n_words / 2;
  uint64_t *words = buffer(n_words, 8);
  uint32_t *rank = buffer(n + 1, 4), *numbers = buffer(n, 4), *before = buffer(n_words, 4);
  size_t in_pairs[2] = {0, 0}, counts[2];
  memset(words, 0, n_words * 8);
  rank[0] = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t is_set = draw(1, 100) <= share;
    words[i / 64] |= (uint64_t)is_set << i % 64;
    if (i / 128 < n_pairs) in_pairs[i / 64 % 2] += is_set;
    rank[i + 1] = rank[i] + is_set;
  }
  for (size_t i = 0; i < n_tables; i++) {
    tables[i]->count_bits(words, n_pairs, counts);
    CHECK(memcmp(counts, in_pairs, sizeof counts) == 0, "%s count_bits n %zu", tables[i]->name, n);
    CHECK(tables[i]->count_before(words, n_words, before) == rank[n], "%s count_before n %zu",
          tables[i]->name, n);
    for (size_t j = 0; j < n; j++) numbers[j] = (uint32_t)(n - 1 - j);
    tables[i]->ranks(words, before, numbers, n);
    for (size_t j = 0; j < n; j++) {
      CHECK(numbers[j] == rank[n - 1 - j], "%s rank of %zu of %zu", tables[i]->name, n - 1 - j, n);
    }
  }
  release();
}

static void test_set_bits(void) {
  for (size_t n_words = 1; n_words <= 40; n_words += 3) {
    for (int64_t share = 0; share <= 100; share += 25) case_set_bits(n_words, share);
  }
}

/* The choice of a table. To be called first: the environment counts at first use only. */
static void test_select(void) {
  const mv_kernels *first = mv_kernels_get();
  const char *wanted = getenv("MVDB_ISA");
  CHECK(first != NULL && first == mv_kernels_get(), "the choice must last");
  CHECK(!mv_isa_select("abacus") && mv_kernels_get() == first, "an unknown name");
  if (wanted != NULL && mv_isa_select(wanted)) {
    CHECK(strcmp(first->name, wanted) == 0, "MVDB_ISA=%s gave %s", wanted, first->name);
  }
  CHECK(mv_isa_select("scalar"), "always there");
}

int main(void) {
  test_select();
  collect_tables();
  test_dot();
  test_unpack();
  test_interact();
  test_above();
  test_codes_above();
  test_ascend();
  test_set_bits();
  return tables_report();
}
