/* The codec: rotation, levels, and what encoding and decoding lose. */
#include <math.h>
#include <string.h>

#include "../codec/codec.h"
#include "../codec/levels.h"
#include "../vectors/rotation.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 11;

/* ---- vectors ---- */

static void test_normalise(void) {
  float rows[6][3] = {{3, 0, 4},        {0, 0, 0},      {1, NAN, 0},
                      {0, INFINITY, 0}, {1e-45f, 0, 0}, {3e38f, 3e38f, 3e38f}};
  float out[6][3];
  uint8_t state[6];
  static const uint8_t expected[6] = {MV_ROW_UNIT,       MV_ROW_ZERO, MV_ROW_NOT_FINITE,
                                      MV_ROW_NOT_FINITE, MV_ROW_UNIT, MV_ROW_UNIT};
  mv_normalise(rows[0], 4, 6, 3, out[0], 4, state);
  CHECK(memcmp(state, expected, 6) == 0, "states of rows");
  for (size_t i = 0; i < 6; i++) {
    if (state[i] == MV_ROW_UNIT) {
      CHECK(fabs(naive_dot(out[i], out[i], 3) - 1) < 1e-6, "row %zu", i);
    } else {
      CHECK(memcmp(out[i], rows[i], sizeof rows[i]) == 0, "row %zu is not as it was", i);
    }
  }
  mv_normalise(rows[0], 4, 6, 3, rows[0], 4, state);
  CHECK(memcmp(rows, out, sizeof rows) == 0, "in place");
}

static void test_sizes(void) {
  CHECK(mv_padded_dim(1) == 16 && mv_padded_dim(16) == 16 && mv_padded_dim(17) == 32, "padding");
  CHECK(mv_token_bytes(128, 2) == 34 && mv_token_bytes(100, 1) == 16, "bytes of codes");
  CHECK(mv_token_bytes(100, 16) == 200, "bytes of float16");
  CHECK(mv_code_bytes(1) == 2 && mv_code_bytes(65536) == 2 && mv_code_bytes(65537) == 3, "codes");
  CHECK(mv_isa_select(mv_isa()), "%s", mv_isa());
  CHECK(!mv_isa_select("abacus"), "an instruction set that there is not");
}

/* ---- rotation ---- */

/* Rotated unit vectors of each axis would be the matrix; a few pairs of random vectors tell as much
 * of large ones. */
static void case_rotation(size_t dim) {
  enum { N = 6 };
  const size_t padded = mv_padded_dim(dim);
  mv_rotation rotation;
  float *in = draw_rows(&seed, N, dim);
  float *out = room(N * padded, sizeof(float)), *back = room(dim, sizeof(float));
  MUST(mv_rotation_init(&rotation, dim, 3) == MV_OK);
  for (size_t i = 0; i < N; i++) {
    mv_rotation_apply(&rotation, in + i * dim, out + i * padded);
    for (size_t d = dim; d < padded; d++) CHECK(out[i * padded + d] == 0, "padding, dim %zu", dim);
    mv_rotation_invert(&rotation, out + i * padded, back);
    for (size_t d = 0; d < dim; d++) {
      const double error = fabs((double)back[d] - (double)in[i * dim + d]);
      CHECK(error < 2e-6, "dim %zu does not invert: %g", dim, error);
    }
  }
  for (size_t i = 0; i < N; i++) {
    for (size_t j = 0; j <= i; j++) {
      const double before = naive_dot(in + i * dim, in + j * dim, dim);
      const double after = naive_dot(out + i * padded, out + j * padded, padded);
      CHECK(fabs(before - after) < 2e-6, "dim %zu: %g becomes %g", dim, before, after);
    }
  }
  mv_rotation_free(&rotation);
  free(in);
  free(out);
  free(back);
}

/* One axis rotated is spread over all dimensions. */
static void case_spread(size_t dim) {
  float *axis = room(dim, sizeof(float)), *out = room(mv_padded_dim(dim), sizeof(float));
  mv_rotation rotation;
  MUST(mv_rotation_init(&rotation, dim, 4) == MV_OK);
  for (size_t hot = 0; hot < dim; hot += 7) {
    memset(axis, 0, dim * sizeof(float));
    axis[hot] = 1;
    mv_rotation_apply(&rotation, axis, out);
    for (size_t d = 0; d < dim; d++) {
      const double size = fabs((double)out[d]) * sqrt((double)dim);
      CHECK(size < 8, "dim %zu: axis %zu leaves %g in %zu", dim, hot, size, d);
    }
  }
  mv_rotation_free(&rotation);
  free(axis);
  free(out);
}

static void test_rotation(void) {
  static const size_t dims[] = {1, 2, 3, 16, 48, 96, 100, 128, 320, 768, 4096};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    case_rotation(dims[i]);
    if (dims[i] >= 48) case_spread(dims[i]);
  }
  mv_rotation one, same, other;
  MUST(mv_rotation_init(&one, 100, 1) == MV_OK && mv_rotation_init(&same, 100, 1) == MV_OK);
  MUST(mv_rotation_init(&other, 100, 2) == MV_OK);
  CHECK(memcmp(one.signs, same.signs, 400 * sizeof(float)) == 0, "the seed decides");
  CHECK(memcmp(one.signs, other.signs, 400 * sizeof(float)) != 0, "another seed, another rotation");
  mv_rotation_free(&one);
  mv_rotation_free(&same);
  mv_rotation_free(&other);
}

/* ---- levels ---- */

static void case_levels(unsigned bits) {
  const mv_levels *levels = mv_levels_get(bits);
  const size_t n = (size_t)1 << bits;
  CHECK(levels != NULL && levels->bits == bits, "bits %u", bits);
  CHECK(levels->n_thresholds == n - 1, "bits %u", bits);
  for (size_t i = 0; i < n; i++) {
    CHECK(levels->bytes[i] <= 127, "dot7 takes seven bits");
    CHECK(levels->bytes[i] + levels->bytes[n - 1 - i] == 2 * levels->zero, "level %zu", i);
    if (i == 0) continue;
    CHECK(levels->bytes[i] > levels->bytes[i - 1], "level %zu", i);
    const float middle = (float)(levels->bytes[i] + levels->bytes[i - 1] - 2 * levels->zero) / 2;
    CHECK(levels->thresholds[i - 1] == middle, "bits %u: threshold %zu", bits, i - 1);
  }
}

static void test_levels(void) {
  case_levels(1);
  case_levels(2);
  case_levels(4);
  CHECK(mv_levels_get(8)->n_thresholds == 0 && mv_levels_get(8)->zero == 128, "eight bits");
  for (unsigned bits = 0; bits <= 64; bits++) {
    const int known = bits == 1 || bits == 2 || bits == 4 || bits == 8;
    CHECK((mv_levels_get(bits) != NULL) == known, "%u bits", bits);
  }
}

/* ---- encoding ---- */

/* The squared error of unit vectors in random directions, of which a few centroids tell little:
 * that is the worst there is. A residual v - c is then about as long as v; Lloyd-Max levels leave D
 * of its square (.3634, .1175, .0095; .0001 at eight bits), and stretching to unit length and the
 * scales' bytes cost a little. The length is unit but for the last choice of codes. */
typedef struct bounds {
  unsigned bits;
  double mean, worst, length;
} bounds;

static const bounds random_bounds[] = {
    {1, .50, 1.0, .25}, {2, .18, .30, .25}, {4, .017, .05, .06}, {8, .0005, .003, .03}};

static void case_encode(uint32_t dim, const bounds *bound) {
  const unsigned bits = bound->bits;
  enum { N = 300 };
  model used;
  collection docs;
  uint32_t lengths[] = {1, 100, N - 101};
  float *vectors = draw_rows(&seed, N, dim);
  model_train(&used, (model_shape){dim, bits, 8, 3}, vectors, N);
  collection_build(&docs, &used, dim, vectors, lengths, 3, 2);
  double sum = 0, worst = 0;
  for (size_t i = 0; i < N; i++) {
    const float *v = vectors + i * dim, *w = docs.decoded + i * dim;
    const double error = naive_dot(v, v, dim) + naive_dot(w, w, dim) - 2 * naive_dot(v, w, dim);
    sum += error;
    worst = error > worst ? error : worst;
    const double length = sqrt(naive_dot(w, w, dim));
    CHECK(fabs(length - 1) < bound->length, "dim %u bits %u: length %g", dim, bits, length);
  }
  CHECK(sum / N < bound->mean, "dim %u bits %u: mean %g", dim, bits, sum / N);
  CHECK(worst < bound->worst, "dim %u bits %u: worst %g", dim, bits, worst);
  collection_free(&docs);
  model_free(&used);
  free(vectors);
}

static void test_encode(void) {
  static const uint32_t dims[] = {1, 2, 3, 16, 20, 48, 96, 100, 128, 320};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    for (size_t j = 0; j < 4; j++) case_encode(dims[i], &random_bounds[j]);
  }
  case_encode(4096, &random_bounds[2]);
}

/* Nothing of what padding decodes to may count: in one or two dimensions the centroid and one bit
 * describe a vector almost wholly. (Padding once took part in the least squares, and two dimensions
 * at one bit lost as much as .13.) */
static void test_padding(void) {
  static const bounds tight[] = {
      {1, .001, .001, .02}, {2, .001, .001, .02}, {4, .001, .001, .02}, {8, .001, .001, .02}};
  for (size_t j = 0; j < 4; j++) {
    case_encode(1, &tight[j]);
    case_encode(2, &tight[j]);
  }
}

/* A token's bytes do not depend on the tokens encoded with it. */
static void test_alone(void) {
  enum { N = 70, DIM = 33 };
  model used;
  float *vectors = draw_topics(&seed, N, DIM, 5, 0.6);
  model_train(&used, (model_shape){DIM, 4, 20, 10}, vectors, N);
  const size_t bytes = mv_token_bytes(DIM, 4), packed = bytes - 2;
  const uint32_t all = N, one = 1;
  uint8_t *codes = room(N, 2), *record = room(N, bytes), *alone = room(1, bytes);
  double sum, part, parts = 0;
  MUST(mv_encode(used.codec, vectors, N, DIM, &all, 1, codes, record, &sum) == MV_OK);
  for (size_t i = 0; i < N; i++) {
    uint8_t code[2];
    MUST(mv_encode(used.codec, vectors + i * DIM, 1, DIM, &one, 1, code, alone, &part) == MV_OK);
    CHECK(memcmp(code, codes + 2 * i, 2) == 0, "token %zu's centroid", i);
    CHECK(alone[0] == record[i] && alone[1] == record[N + i], "token %zu's scales", i);
    CHECK(memcmp(alone + 2, record + 2 * N + i * packed, packed) == 0, "token %zu's residual", i);
    parts += part;
  }
  CHECK(fabs(parts - sum) < 1e-9 * sum, "residuals add up");
  const uint32_t with_empty[2] = {1, 0};
  CHECK(mv_encode(used.codec, vectors, 1, DIM, with_empty, 2, codes, record, &sum) ==
            MV_ERROR_ARGUMENT,
        "a document without tokens");
  CHECK(mv_encode(used.codec, vectors, 0, DIM, NULL, 0, codes, record, &sum) == MV_OK && sum == 0,
        "no documents");
  model_free(&used);
  free(vectors);
  free(codes);
  free(record);
  free(alone);
}

/* Beyond 65,536 centroids a code takes three bytes, and all three matter. */
static void case_code_bytes(uint32_t n_centroids) {
  enum { N = 200, DIM = 16 };
  model used;
  collection docs;
  const uint32_t lengths[] = {N};
  float *vectors = draw_rows(&seed, N, DIM);
  model_train(&used, (model_shape){DIM, 2, n_centroids, 40}, vectors, N);
  collection_build(&docs, &used, DIM, vectors, lengths, 1, 1);
  const uint8_t *codes = docs.codes[0];
  uint32_t *numbers = room(N, sizeof *numbers);
  int8_t *points = room(N, 16);
  MUST(mv_points(vectors, N, DIM, ROTATION_SEED, points) == MV_OK);
  MUST(mv_centroids_assign(&used.codec->centroids, points, N, numbers) == MV_OK);
  uint32_t greatest = 0;
  for (uint32_t t = 0; t < N; t++) {
    CHECK(collection_code(&docs, 0, t) == numbers[t], "token %u", t);
    greatest = numbers[t] > greatest ? numbers[t] : greatest;
  }
  CHECK(docs.codes_sizes[0] == N * (n_centroids > 65536 ? 3 : 2), "bytes");
  CHECK(greatest > n_centroids / 2, "the codes that were used reach %u only", greatest);
  CHECK(mv_codes_check(used.codec, codes, N * docs.code_bytes, docs.code_bytes) == MV_OK,
        "codes inside");
  collection_free(&docs);
  model_free(&used);
  free(vectors);
  free(numbers);
  free(points);
}

int main(void) {
  test_normalise();
  test_sizes();
  test_rotation();
  test_levels();
  test_encode();
  test_padding();
  test_alone();
  case_code_bytes(65536);
  case_code_bytes(90000);
  return checks_report();
}
