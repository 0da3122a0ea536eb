/* Numbers from a file: every kind of wrong one is refused as corrupt, and nothing is read beside
 * the arrays, which are heap blocks of exact size (the sanitisers watch). */
#include <math.h>
#include <string.h>

#include "check.h"
#include "collection.h"

static uint64_t seed = 83;

/* ---- codec ---- */

enum { DIM = 20, CENTROIDS = 12, GROUPS = 4 };

static void refuse_codec(const mv_codec_spec *spec, const char *what) {
  mv_codec *codec = NULL;
  const mv_status status = codec_of(spec, &codec);
  CHECK(status == MV_ERROR_CORRUPT, "%s: %d", what, (int)status);
  if (status == MV_OK) mv_codec_free(codec);
}

static void accept_codec(const mv_codec_spec *spec, const char *what) {
  mv_codec *codec;
  const mv_status status = codec_of(spec, &codec);
  CHECK(status == MV_OK, "%s: %d", what, (int)status);
  if (status == MV_OK) mv_codec_free(codec);
}

static void test_codec_numbers(const model *good) {
  static const uint32_t dims[] = {0, MV_MAX_DIM + 1, UINT32_MAX};
  static const uint32_t bits[] = {0, 3, 5, 7, 9, 16, 32, UINT32_MAX};
  static const uint32_t centroids[] = {0, GROUPS - 1, MV_MAX_CENTROIDS + 1, UINT32_MAX};
  static const uint32_t groups[] = {0, CENTROIDS + 1, UINT32_MAX};
  accept_codec(&good->spec, "the codec as it was");
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    mv_codec_spec spec = good->spec;
    spec.dim = dims[i];
    refuse_codec(&spec, "dim");
  }
  for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
    mv_codec_spec spec = good->spec;
    spec.bits = bits[i];
    refuse_codec(&spec, "bits");
  }
  for (size_t i = 0; i < sizeof centroids / sizeof centroids[0]; i++) {
    mv_codec_spec spec = good->spec;
    spec.n_centroids = centroids[i];
    refuse_codec(&spec, "centroids");
  }
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    mv_codec_spec spec = good->spec;
    spec.n_groups = groups[i];
    refuse_codec(&spec, "groups");
  }
}

static void test_group_starts(model *good) {
  static const uint32_t values[] = {1, CENTROIDS + 1, UINT32_MAX};
  for (uint32_t g = 0; g <= GROUPS; g++) {
    const uint32_t kept = good->group_starts[g];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
      good->group_starts[g] = values[i];
      if (g > 0 && g < GROUPS && values[i] == 1) {
        good->group_starts[g] = g == 1 ? good->group_starts[2] + 1 : good->group_starts[g - 1] - 1;
      }
      refuse_codec(&good->spec, "group starts");
    }
    good->group_starts[g] = kept;
  }
  good->group_starts[GROUPS]--;
  refuse_codec(&good->spec, "fewer centroids in groups than there are");
  good->group_starts[GROUPS]++;
  accept_codec(&good->spec, "the group starts as they were");
}

static void test_members(model *good) {
  static const uint32_t values[] = {CENTROIDS, UINT32_MAX};
  for (uint32_t i = 0; i < CENTROIDS; i++) {
    const uint32_t kept = good->members[i];
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
      good->members[i] = values[v];
      refuse_codec(&good->spec, "a member that is no centroid");
    }
    good->members[i] = good->members[(i + 1) % CENTROIDS];
    refuse_codec(&good->spec, "a centroid in two groups");
    good->members[i] = kept;
  }
  accept_codec(&good->spec, "the members as they were");
}

static void refuse_scale(const model *good, float *scales, int i, float value) {
  const float kept = scales[i];
  scales[i] = value;
  refuse_codec(&good->spec, "scales");
  scales[i] = kept;
}

static void test_scales(const model *good) {
  float *tables[] = {good->a_scales, good->b_scales};
  for (size_t t = 0; t < 2; t++) {
    for (int i = 0; i < MV_SCALES; i++) {
      refuse_scale(good, tables[t], i, NAN);
      refuse_scale(good, tables[t], i, INFINITY);
      refuse_scale(good, tables[t], i, -INFINITY);
      if (i > 0) refuse_scale(good, tables[t], i, tables[t][i - 1] - 1);
      if (i + 1 < MV_SCALES) refuse_scale(good, tables[t], i, tables[t][i + 1] + 1);
    }
  }
  accept_codec(&good->spec, "the scales as they were");
}

/* ---- codes ---- */

static void test_codes(const mv_codec *codec) {
  enum { N = 5 };
  for (size_t at = 0; at < N; at++) {
    for (uint32_t code = 0; code < 65536; code += 1 + code / 3) {
      uint8_t *codes = room(N, 2);
      memset(codes, 0, N * 2);
      codes[2 * at] = (uint8_t)(code & 255);
      codes[2 * at + 1] = (uint8_t)(code >> 8);
      CHECK(mv_codes_check(codec, codes, 2 * N, 2) == (code < CENTROIDS ? MV_OK : MV_ERROR_CORRUPT),
            "code %u", code);
      free(codes);
    }
  }
  CHECK(mv_codes_check(codec, NULL, 0, 2) == MV_OK, "no codes");
}

static void test_wide_codes(void) {
  enum { N_CENTROIDS = 70000 };
  static const struct {
    uint32_t code;
    mv_status status;
  } cases[] = {{0, MV_OK},
               {65536, MV_OK},
               {N_CENTROIDS - 1, MV_OK},
               {N_CENTROIDS, MV_ERROR_CORRUPT},
               {0xffffff, MV_ERROR_CORRUPT}};
  model used;
  float *sample = draw_rows(&seed, 10, 1);
  model_train(&used, (model_shape){1, 1, N_CENTROIDS, 2}, sample, 10);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t *codes = room(2, 3);
    memset(codes, 0, 6);
    for (size_t j = 0; j < 3; j++) codes[3 + j] = (uint8_t)(cases[i].code >> (8 * j) & 255);
    CHECK(mv_codes_check(used.codec, codes, 6, 3) == cases[i].status, "code %u", cases[i].code);
    free(codes);
  }
  model_free(&used);
  free(sample);
}

/* ---- segments ---- */

enum { DOCUMENTS = 9, CHUNKS = 3 };

static void expect(const collection *docs, mv_status expected, const char *what) {
  const mv_status status = mv_segment_check(&docs->view, docs->codes_sizes, docs->records_sizes);
  CHECK(status == expected, "%s: %d", what, (int)status);
}

/* Each entry of an array of numbers that rise, changed to break the rise, is refused. */
static void break_rise(const collection *docs, uint32_t *numbers, uint32_t n, const char *what) {
  static const uint32_t anything[] = {0, 1, 7, 1000, UINT32_MAX};
  for (uint32_t i = 0; i <= n; i++) {
    const uint32_t kept = numbers[i];
    for (size_t j = 0; j < sizeof anything / sizeof anything[0]; j++) {
      if (anything[j] == kept) continue;
      const int rises = (i == 0 ? anything[j] == 0 : anything[j] > numbers[i - 1]) &&
                        (i == n || anything[j] < numbers[i + 1]);
      numbers[i] = anything[j];
      /* One that rises still is caught by the sizes of chunks, unless inside one. */
      if (!rises) expect(docs, MV_ERROR_CORRUPT, what);
    }
    numbers[i] = kept;
    if (i > 0) {
      numbers[i] = numbers[i - 1];
      expect(docs, MV_ERROR_CORRUPT, what);
    }
    numbers[i] = kept;
  }
  expect(docs, MV_OK, what);
}

static void break_sizes(const collection *docs, size_t *sizes, const char *what) {
  for (size_t c = 0; c < CHUNKS; c++) {
    const size_t kept = sizes[c];
    const size_t wrong[] = {0, kept - 1, kept + 1, kept * 2, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
      if (wrong[i] == kept) continue;
      sizes[c] = wrong[i];
      expect(docs, MV_ERROR_CORRUPT, what);
    }
    sizes[c] = kept;
  }
  expect(docs, MV_OK, what);
}

static void break_view(collection *docs) {
  static const uint32_t dims[] = {0, DIM - 1, DIM + 1, MV_MAX_DIM + 1, UINT32_MAX};
  const mv_segment good = docs->view;
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    docs->view.dim = dims[i];
    expect(docs, MV_ERROR_CORRUPT, "dim");
  }
  docs->view = good;
  docs->view.n_documents = UINT32_MAX;
  expect(docs, MV_ERROR_CORRUPT, "the most documents");
  docs->view.n_documents = DOCUMENTS - 1;
  expect(docs, MV_ERROR_CORRUPT, "fewer documents than in chunks");
  docs->view = good;
  docs->view.n_chunks = UINT32_MAX;
  expect(docs, MV_ERROR_CORRUPT, "the most chunks");
  docs->view.n_chunks = CHUNKS - 1;
  expect(docs, MV_ERROR_CORRUPT, "fewer chunks");
  docs->view.n_chunks = 0;
  expect(docs, MV_ERROR_CORRUPT, "no chunks");
  docs->view = good;
  expect(docs, MV_OK, "the view as it was");
}

/* A border moved from one chunk to the next changes no order, but the sizes. */
static void move_borders(const collection *docs) {
  for (uint32_t c = 1; c < CHUNKS; c++) {
    docs->chunk_documents[c]++;
    expect(docs, MV_ERROR_CORRUPT, "a chunk's border");
    docs->chunk_documents[c] -= 2;
    expect(docs, MV_ERROR_CORRUPT, "a chunk's border");
    docs->chunk_documents[c]++;
    docs->starts[docs->chunk_documents[c]]++;
    expect(docs, MV_ERROR_CORRUPT, "a border document's tokens");
    docs->starts[docs->chunk_documents[c]]--;
  }
}

static void test_segment(const model *used) {
  uint32_t lengths[DOCUMENTS];
  size_t n = 0;
  for (uint32_t i = 0; i < DOCUMENTS; i++) n += lengths[i] = 2 + i;
  float *vectors = draw_rows(&seed, n, DIM);
  collection docs;
  collection_build(&docs, used, DIM, vectors, lengths, DOCUMENTS, CHUNKS);
  break_rise(&docs, docs.starts, DOCUMENTS, "starts");
  break_rise(&docs, docs.chunk_documents, CHUNKS, "chunks");
  break_sizes(&docs, docs.records_sizes, "records");
  break_sizes(&docs, docs.codes_sizes, "codes");
  if (used != NULL) break_view(&docs);
  move_borders(&docs);
  collection_free(&docs);
  collection_build(&docs, used, DIM, vectors, lengths, 0, 0);
  expect(&docs, MV_OK, "an empty segment");
  collection_free(&docs);
  free(vectors);
}

/* ---- sizes ---- */

/* Arrays that are shorter or longer than the numbers beside them say. */
static void test_codec_sizes(const model *good) {
  const size_t padded = mv_padded_dim(DIM);
  const mv_codec_sizes fits = {CENTROIDS * padded, GROUPS * padded, GROUPS + 1,
                               CENTROIDS,          MV_SCALES,       MV_SCALES};
  for (size_t field = 0; field < 6; field++) {
    for (int off = -1; off <= 1; off++) {
      mv_codec_sizes sizes = fits;
      size_t *fields[] = {&sizes.rows,    &sizes.group_rows, &sizes.group_starts,
                          &sizes.members, &sizes.a_scales,   &sizes.b_scales};
      *fields[field] += (size_t)off;
      mv_codec *codec = NULL;
      const mv_status status = mv_codec_new(&good->spec, &sizes, &codec);
      CHECK(status == (off == 0 ? MV_OK : MV_ERROR_CORRUPT), "array %zu: %d", field, (int)status);
      if (status == MV_OK) mv_codec_free(codec);
    }
  }
}

/* Once vectors of eight dimensions met a codec of 4,096, and what lay behind them was encoded. */
static void test_coding_sizes(const model *used) {
  enum { N = 3 };
  const mv_codec *codec = used->codec;
  const uint32_t length = N;
  const size_t size = N * mv_token_bytes(DIM, 4);
  float *vectors = draw_rows(&seed, N, DIM), out[N * DIM], a[N], b[N];
  uint8_t *codes = room(N, 2), *record = room(size, 1);
  int8_t *points = room(N, mv_padded_dim(DIM));
  double sum;
  CHECK(mv_encode(codec, vectors, N, DIM - 1, &length, 1, codes, record, &sum) == MV_ERROR_ARGUMENT,
        "another dim");
  CHECK(mv_encode(codec, vectors, N - 1, DIM, &length, 1, codes, record, &sum) == MV_ERROR_ARGUMENT,
        "fewer vectors than tokens");
  CHECK(mv_fit_scales(codec, vectors, N, DIM + 1, a, b) == MV_ERROR_ARGUMENT, "another dim");
  CHECK(mv_distances(codec, points, N, DIM, a) == MV_ERROR_ARGUMENT, "points that are not padded");
  MUST(mv_encode(codec, vectors, N, DIM, &length, 1, codes, record, &sum) == MV_OK);
  CHECK(mv_decode(codec, codes, 2 * N, 2, record, size, N, out) == MV_OK, "as encoded");
  CHECK(mv_decode(codec, codes, 2 * N, 2, record, size - 1, N, out) == MV_ERROR_CORRUPT, "record");
  CHECK(mv_decode(codec, codes, 2 * N - 2, 2, record, size, N, out) == MV_ERROR_CORRUPT, "codes");
  CHECK(mv_decode(codec, codes, 2 * N, 4, record, size, N, out) == MV_ERROR_CORRUPT, "width");
  CHECK(mv_decode(codec, codes, 2 * N, 2, record, size, SIZE_MAX, out) == MV_ERROR_CORRUPT,
        "tokens");
  codes[1] = 0xff;
  CHECK(mv_decode(codec, codes, 2 * N, 2, record, size, N, out) == MV_ERROR_CORRUPT,
        "a code beyond the centroids");
  free(vectors);
  free(codes);
  free(record);
  free(points);
}

/* ---- float16 rows ---- */

/* Rows that are not finite, or longer or shorter than one, are refused: they would come first in
 * every ranking, or last. */
static void test_float16_rows(void) {
  static const uint16_t wrong[] = {0x7c00, 0xfc00, 0x7e00, 0x7bff, 0x4000, 0x0000, 0x0001};
  static const size_t dims[] = {1, 15, 16, 17, 40};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    const size_t dim = dims[i];
    const uint32_t lengths[] = {2, 3}, numbers[] = {0, 1};
    uint8_t marks[2];
    float *vectors = draw_rows(&seed, 5, dim);
    collection docs;
    collection_build(&docs, NULL, (uint32_t)dim, vectors, lengths, 2, 1);
    CHECK(mv_documents_check(&docs.view, numbers, 2, marks) == MV_OK, "dim %zu", dim);
    for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
      uint8_t *row = docs.records[0] + 3 * 2 * dim, *kept = room(dim, 2);
      memcpy(kept, row, 2 * dim);
      memset(row, 0, 2 * dim);
      memcpy(row + 2 * (dim - 1), &wrong[j], 2);
      CHECK(mv_documents_check(&docs.view, numbers, 1, marks) == MV_OK, "another document");
      CHECK(mv_documents_check(&docs.view, numbers, 2, marks) == MV_ERROR_CORRUPT, "dim %zu: %x",
            dim, wrong[j]);
      memcpy(row, kept, 2 * dim);
      free(kept);
    }
    collection_free(&docs);
    free(vectors);
  }
}

int main(void) {
  model used;
  float *sample = draw_rows(&seed, 100, DIM);
  model_train(&used, (model_shape){DIM, 4, CENTROIDS, GROUPS}, sample, 100);
  test_codec_numbers(&used);
  test_group_starts(&used);
  test_members(&used);
  test_scales(&used);
  test_codes(used.codec);
  test_codec_sizes(&used);
  test_coding_sizes(&used);
  test_float16_rows();
  test_wide_codes();
  test_segment(&used);
  test_segment(NULL);
  model_free(&used);
  free(sample);
  return checks_report();
}
