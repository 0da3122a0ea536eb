/* How a segment's documents lie: codes inside records or apart from them, codes of fewer bytes than
 * the codec has now, and the checks of both; and the points of documents. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 181;

enum { DIM = 24, N_DOCUMENTS = 37, LONGEST = 70, M = 40 };

static const uint8_t everything[] = {1};
static const uint8_t *const unrestricted[] = {NULL};

/* A collection of documents, some short, some of more than a tile. */
static void build(collection *out, const model *used, uint32_t n_chunks) {
  uint32_t lengths[N_DOCUMENTS], n = 0;
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) n += lengths[i] = 1 + i * i % LONGEST;
  float *vectors = draw_topics(&seed, n, DIM, 20, 0.6);
  collection_build(out, used, DIM, vectors, lengths, N_DOCUMENTS, n_chunks);
  free(vectors);
}

/* ---- two segments of the same documents ---- */

/* All that can be asked of two segments has the same answer, to the bit. */
static void check_scores(const mv_segment *one, const mv_segment *other, mv_query *query,
                         const char *what) {
  enum { N = N_DOCUMENTS };
  const mv_segment *segments[2] = {one, other};
  mv_place places[2][N], best[2][N];
  float fast[2][N], precise[2][N], coarse[2][N], interact[2][N];
  size_t counts[2];
  for (size_t s = 0; s < 2; s++) {
    for (uint32_t i = 0; i < N; i++) places[s][i] = (mv_place){0, i};
    MUST(mv_score(query, segments[s], 1, places[s], N, MV_SCORE_FAST, fast[s]) == MV_OK);
    MUST(mv_score(query, segments[s], 1, places[s], N, MV_SCORE_PRECISE, precise[s]) == MV_OK);
    MUST(mv_coarse(query, segments[s], 1, everything, unrestricted, N, best[s], coarse[s],
                   &counts[s]) == MV_OK);
    MUST(mv_interact(query, segments[s], 1, places[s], N, interact[s]) == MV_OK);
  }
  CHECK(memcmp(fast[0], fast[1], sizeof fast[0]) == 0, "%s: fast scores", what);
  CHECK(memcmp(precise[0], precise[1], sizeof precise[0]) == 0, "%s: precise scores", what);
  CHECK(counts[0] == N && counts[1] == N, "%s: documents", what);
  CHECK(memcmp(coarse[0], coarse[1], sizeof coarse[0]) == 0, "%s: coarse scores", what);
  CHECK(memcmp(best[0], best[1], sizeof best[0]) == 0, "%s: coarse places", what);
  CHECK(memcmp(interact[0], interact[1], sizeof interact[0]) == 0, "%s: interaction", what);
  CHECK(memcmp(places[0], places[1], sizeof places[0]) == 0, "%s: places", what);
  for (uint32_t i = 0; i < N; i += 6) {
    const size_t n = one->starts[i + 1] - one->starts[i];
    float *x = room(M * n, sizeof *x), *y = room(M * n, sizeof *y);
    MUST(mv_explain(query, one, i, n, x) == MV_OK);
    MUST(mv_explain(query, other, i, n, y) == MV_OK);
    CHECK(memcmp(x, y, M * n * sizeof *x) == 0, "%s: matrix of document %u", what, i);
    free(x);
    free(y);
  }
}

static void check_equal(const mv_segment *one, const mv_segment *other, const char *what) {
  const size_t padded = mv_padded_dim(DIM);
  mv_query *query;
  float *vectors = draw_topics(&seed, M, DIM, 20, 0.6);
  int8_t *points[2] = {room(N_DOCUMENTS, padded), room(N_DOCUMENTS, padded)};
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vectors, M, DIM) == MV_OK);
  check_scores(one, other, query, what);
  MUST(mv_document_points(one, points[0]) == MV_OK);
  MUST(mv_document_points(other, points[1]) == MV_OK);
  CHECK(memcmp(points[0], points[1], N_DOCUMENTS * padded) == 0, "%s: points", what);
  mv_query_free(query);
  free(vectors);
  free(points[0]);
  free(points[1]);
}

/* ---- inline codes ---- */

static void expect(const collection *docs, mv_status expected, const char *what) {
  const mv_status status = mv_segment_check(&docs->view, docs->codes_sizes, docs->records_sizes);
  CHECK(status == expected, "%s: %d", what, (int)status);
}

/* Records as large as codes of so many bytes would make them. */
static void fit_sizes(const collection *docs, size_t code_bytes) {
  const size_t token = docs->token_bytes - docs->code_bytes + code_bytes;
  for (uint32_t c = 0; c < docs->view.n_chunks; c++) {
    const uint32_t first = docs->chunk_documents[c], last = docs->chunk_documents[c + 1];
    docs->records_sizes[c] = (docs->starts[last] - docs->starts[first]) * token;
  }
}

/* Sizes of codes that are elsewhere, of records with and without them, and of other codes. */
static void check_sizes(collection *docs) {
  const mv_segment good = docs->view;
  docs->codes_sizes[0] = 2;
  expect(docs, MV_ERROR_CORRUPT, "codes beside inline ones");
  docs->codes_sizes[0] = 0;
  docs->records_sizes[0]--;
  expect(docs, MV_ERROR_CORRUPT, "a byte less");
  docs->records_sizes[0]++;
  docs->view.inline_codes = 0;
  expect(docs, MV_ERROR_CORRUPT, "no codes anywhere");
  docs->view = good;
  for (uint32_t bytes = 0; bytes < 6; bytes++) {
    docs->view.code_bytes = bytes;
    expect(docs, bytes == good.code_bytes ? MV_OK : MV_ERROR_CORRUPT, "bytes of a code");
    fit_sizes(docs, bytes);
    expect(docs, bytes == 2 || bytes == 3 ? MV_OK : MV_ERROR_CORRUPT, "bytes of a code, fitting");
    fit_sizes(docs, good.code_bytes);
  }
  docs->view.code_bytes = UINT32_MAX;
  expect(docs, MV_ERROR_CORRUPT, "bytes of a code");
  docs->view = good;
  docs->view.codec = NULL;
  expect(docs, MV_ERROR_CORRUPT, "inline codes without a codec");
  docs->view = good;
  expect(docs, MV_OK, "the view as it was");
}

/* How many of 1, 2, 3, 4, 6, 8, 12, 16 ... are at most n. */
static int steps_up_to(uint32_t n) {
  int steps = 0;
  for (uint32_t power = 1; power <= n; power *= 2) steps += 1 + (power > 1 && power / 2 * 3 <= n);
  return steps;
}

/* Marks are ordered as the half octaves of the greatest codes. */
static void check_marks(const collection *docs, const uint8_t *marks) {
  int steps[N_DOCUMENTS];
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
    uint32_t n = 0;
    for (uint32_t t = 0; t < docs->starts[i + 1] - docs->starts[i]; t++) {
      const uint32_t code = collection_code(docs, i, t);
      n = code + 1 > n ? code + 1 : n;
    }
    steps[i] = steps_up_to(n);
    CHECK(marks[i] > 0, "document %u", i);
    for (uint32_t j = 0; j < i; j++) {
      CHECK((marks[i] < marks[j]) == (steps[i] < steps[j]), "%u, %u", i, j);
      CHECK((marks[i] > marks[j]) == (steps[i] > steps[j]), "%u, %u", i, j);
    }
  }
}

/* A code that is out of range is that of its document alone. */
static void check_codes(const collection *docs) {
  const mv_segment *view = &docs->view;
  uint32_t all[N_DOCUMENTS + 1];
  uint8_t marks[N_DOCUMENTS + 1];
  for (uint32_t i = 0; i <= N_DOCUMENTS; i++) all[i] = i;
  CHECK(mv_documents_check(view, all, N_DOCUMENTS, marks) == MV_OK, "all documents");
  CHECK(mv_documents_check(view, all, N_DOCUMENTS + 1, marks) == MV_ERROR_ARGUMENT, "one too many");
  CHECK(mv_documents_check(view, all, 0, marks) == MV_OK, "none");
  for (uint32_t c = 0; c < view->n_chunks; c++) {
    for (uint32_t i = docs->chunk_documents[c]; i < docs->chunk_documents[c + 1]; i++) {
      const size_t n = docs->starts[i + 1] - docs->starts[i];
      const size_t at = docs->starts[i] - docs->starts[docs->chunk_documents[c]];
      const size_t token = (size_t)mv_random_below(&seed, n);
      uint8_t *high = docs->records[c] + at * docs->token_bytes + token * docs->code_bytes +
                      docs->code_bytes - 1;
      const uint8_t kept = *high;
      *high = 255;
      for (uint32_t j = 0; j < N_DOCUMENTS; j++) {
        CHECK(mv_documents_check(view, &j, 1, marks) == (j == i ? MV_ERROR_CORRUPT : MV_OK),
              "%u, %u", i, j);
      }
      *high = kept;
    }
  }
}

static void case_inline(uint32_t bits, uint32_t n_centroids, uint32_t n_chunks) {
  model used;
  collection apart, within;
  float *sample = draw_topics(&seed, 300, DIM, 20, 0.6);
  model_train(&used, (model_shape){DIM, bits, n_centroids, 9}, sample, 300);
  build(&apart, &used, n_chunks);
  collection_inline(&within, &apart);
  check_equal(&apart.view, &within.view, "inline codes");
  check_sizes(&within);
  check_codes(&within);
  uint32_t all[N_DOCUMENTS];
  uint8_t marks[N_DOCUMENTS], others[N_DOCUMENTS];
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) all[i] = i;
  MUST(mv_documents_check(&apart.view, all, N_DOCUMENTS, marks) == MV_OK);
  MUST(mv_documents_check(&within.view, all, N_DOCUMENTS, others) == MV_OK);
  check_marks(&apart, marks);
  CHECK(memcmp(marks, others, N_DOCUMENTS) == 0, "marks with inline codes");
  collection_free(&apart);
  collection_free(&within);
  model_free(&used);
  free(sample);
}

static void test_inline(void) {
  case_inline(1, 50, 1);
  case_inline(2, 50, 3);
  case_inline(4, 70000, 5);
  case_inline(8, 50, N_DOCUMENTS);
}

/* ---- codes of fewer bytes than the codec's ---- */

/* Documents of the time before centroids were added: their codes have two bytes. The same codes in
 * three bytes mean the same. */
static void test_narrow(void) {
  enum { CENTROIDS = 66000 };
  model used;
  collection wide, narrow, within;
  float *sample = draw_topics(&seed, 300, DIM, 20, 0.6);
  model_train(&used, (model_shape){DIM, 2, CENTROIDS, 20}, sample, 300);
  build(&wide, &used, 3);
  build(&narrow, &used, 3);
  narrow.code_bytes = narrow.view.code_bytes = 2;
  for (uint32_t c = 0; c < 3; c++) {
    const size_t n = wide.codes_sizes[c] / 3;
    MUST(wide.records_sizes[c] == narrow.records_sizes[c]);
    memcpy(narrow.records[c], wide.records[c], wide.records_sizes[c]);
    free(narrow.codes[c]);
    narrow.codes[c] = room(n, 2);
    narrow.codes_sizes[c] = 2 * n;
    for (size_t t = 0; t < n; t++) {
      wide.codes[c][3 * t + 2] = 0;
      memcpy(narrow.codes[c] + 2 * t, wide.codes[c] + 3 * t, 2);
    }
    CHECK(mv_codes_check(used.codec, narrow.codes[c], 2 * n, 2) == MV_OK, "two bytes");
  }
  expect(&narrow, MV_OK, "two bytes under a codec of three");
  collection_inline(&within, &narrow);
  check_equal(&wide.view, &narrow.view, "two bytes");
  check_equal(&wide.view, &within.view, "two bytes, inline");
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
    const size_t n = wide.starts[i + 1] - wide.starts[i];
    if (i >= wide.chunk_documents[1]) break;
    float *x = room(n * DIM, sizeof *x), *y = room(n * DIM, sizeof *y);
    const uint8_t *record = wide.records[0] + wide.starts[i] * wide.token_bytes;
    const size_t at = wide.starts[i];
    const size_t size = n * wide.token_bytes;
    const uint8_t *codes = wide.codes[0] + 3 * at, *short_codes = narrow.codes[0] + 2 * at;
    MUST(mv_decode(used.codec, codes, 3 * n, 3, record, size, n, x) == MV_OK);
    MUST(mv_decode(used.codec, short_codes, 2 * n, 2, record, size, n, y) == MV_OK);
    CHECK(memcmp(x, y, n * DIM * sizeof *x) == 0, "decoded document %u", i);
    free(x);
    free(y);
  }
  collection_free(&wide);
  collection_free(&narrow);
  collection_free(&within);
  model_free(&used);
  free(sample);
}

/* ---- points of documents ---- */

/* The point of the mean of a document's centroids: of unit length in the units of points, but for
 * what clipping cuts off; a sum of nothing is nothing. */
static void naive_point(const collection *docs, const model *used, uint32_t document, double *out) {
  const size_t padded = mv_padded_dim(DIM);
  const double unit = 127 / fmin(6 / sqrt(DIM), 1);
  double row[DIM + 16], square = 0;
  memset(out, 0, padded * sizeof *out);
  for (uint32_t t = 0; t < docs->starts[document + 1] - docs->starts[document]; t++) {
    centroid_vector(used, collection_code(docs, document, t), row);
    for (size_t d = 0; d < padded; d++) out[d] += row[d];
  }
  for (size_t d = 0; d < padded; d++) square += out[d] * out[d];
  for (size_t d = 0; d < padded && square > 0; d++) {
    out[d] = fmax(fmin(out[d] / sqrt(square) * unit, 127), -127);
  }
}

static void check_points(const collection *docs, const model *used) {
  const size_t padded = mv_padded_dim(DIM);
  int8_t *points = room(N_DOCUMENTS, padded);
  double *expected = room(padded, sizeof *expected);
  CHECK(mv_document_points(&docs->view, points) == MV_OK, "points");
  for (uint32_t i = 0; i < N_DOCUMENTS; i++) {
    naive_point(docs, used, i, expected);
    for (size_t d = 0; d < padded; d++) {
      const double off = fabs(points[i * padded + d] - expected[d]);
      CHECK(off < 0.501, "document %u, dimension %zu: %d is not %g", i, d, points[i * padded + d],
            expected[d]);
    }
  }
  free(points);
  free(expected);
}

static void test_points(void) {
  model used;
  collection docs;
  float *sample = draw_topics(&seed, 300, DIM, 20, 0.6);
  model_train(&used, (model_shape){DIM, 2, 60, 9}, sample, 300);
  build(&docs, &used, 3);
  check_points(&docs, &used);
  mv_segment plain = docs.view;
  plain.codec = NULL;
  CHECK(mv_document_points(&plain, NULL) == MV_ERROR_ARGUMENT, "without a codec");
  memset(used.rows, 128, 60 * mv_padded_dim(DIM)); /* all centroids at the origin */
  mv_codec_free(used.codec);
  MUST(codec_of(&used.spec, &used.codec) == MV_OK);
  docs.view.codec = used.codec;
  check_points(&docs, &used);
  collection_free(&docs);
  model_free(&used);
  free(sample);
}

/* ---- what goes together ---- */

static void test_parts(void) {
  static const mv_lists lists = {0}, many = {.n_lists = MV_MAX_CENTROIDS};
  model used;
  collection coded, plain;
  float *sample = draw_topics(&seed, 300, DIM, 20, 0.6);
  model_train(&used, (model_shape){DIM, 2, 60, 9}, sample, 300);
  build(&coded, &used, 2);
  build(&plain, NULL, 2);
  coded.view.lists = plain.view.lists = &lists;
  expect(&coded, MV_OK, "lists of documents with codes");
  expect(&plain, MV_ERROR_CORRUPT, "lists of documents without");
  coded.view.lists = &many;
  expect(&coded, MV_ERROR_CORRUPT, "more lists than centroids");
  coded.view.lists = plain.view.lists = NULL;
  plain.view.code_bytes = 3;
  expect(&plain, MV_OK, "codes that there are none of may have any size");
  collection_free(&coded);
  collection_free(&plain);
  model_free(&used);
  free(sample);
}

int main(void) {
  test_inline();
  test_narrow();
  test_points();
  test_parts();
  return checks_report();
}
