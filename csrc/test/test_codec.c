/* The codec: rotation, levels, and what encoding and decoding lose. */
#include <math.h>
#include <string.h>

#include "../codec/levels.h"
#include "../codec/rotation.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 11;

/* ---- vectors ---- */

static void test_normalise(void) {
  float rows[6][3] = {{3, 0, 4}, {0, 0, 0},        {1, NAN, 0},
                      {0, INFINITY, 0}, {1e-45f, 0, 0}, {3e38f, 3e38f, 3e38f}};
  float out[6][3];
  uint8_t state[6];
  static const uint8_t expected[6] = {MV_ROW_UNIT,       MV_ROW_ZERO, MV_ROW_NOT_FINITE,
                                      MV_ROW_NOT_FINITE, MV_ROW_UNIT, MV_ROW_UNIT};
  mv_normalise(rows[0], 6, 3, out[0], state);
  CHECK(memcmp(state, expected, 6) == 0, "states of rows");
  for (size_t i = 0; i < 6; i++) {
    if (state[i] == MV_ROW_UNIT) {
      CHECK(fabs(naive_dot(out[i], out[i], 3) - 1) < 1e-6, "row %zu", i);
    } else {
      CHECK(memcmp(out[i], rows[i], sizeof rows[i]) == 0, "row %zu is not as it was", i);
    }
  }
  mv_normalise(rows[0], 6, 3, rows[0], state);
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
    const float middle =
        (float)(levels->bytes[i] + levels->bytes[i - 1] - 2 * levels->zero) / 2;
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

/* Of a random direction little is known from few centroids, so that the squared error is that of
 * the levels, 2 - 2 sqrt(1 - D) with D the distortion of a normal distribution by Lloyd-Max levels
 * (.3634, .1175, .0095; .0001 at eight bits), and a little for the scales' bytes. */
static const struct {
  unsigned bits;
  double mean, worst;
} bounds[] = {{1, .42, .80}, {2, .13, .30}, {4, .012, .05}, {8, .0005, .003}};

static void case_encode(uint32_t dim, unsigned bits, double mean_bound, double worst_bound) {
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
    CHECK(fabs(length - 1) < 0.03, "dim %u bits %u: length %g", dim, bits, length);
  }
  CHECK(sum / N < mean_bound, "dim %u bits %u: mean %g", dim, bits, sum / N);
  CHECK(worst < worst_bound, "dim %u bits %u: worst %g", dim, bits, worst);
  if (getenv("VERBOSE")) printf("dim %u bits %u: mean %.5f worst %.5f\n", dim, bits, sum / N, worst);
  collection_free(&docs);
  model_free(&used);
  free(vectors);
}

static void test_encode(void) {
  static const uint32_t dims[] = {1, 2, 3, 16, 20, 48, 96, 100, 128, 320};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    for (size_t j = 0; j < 4; j++) {
      case_encode(dims[i], bounds[j].bits, bounds[j].mean, bounds[j].worst);
    }
  }
  case_encode(4096, 4, bounds[2].mean, bounds[2].worst);
}

int main(void) {
  test_normalise();
  test_sizes();
  test_rotation();
  test_levels();
  test_encode();
  return checks_report();
}
