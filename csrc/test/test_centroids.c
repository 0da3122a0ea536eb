/* Training and assignment of centroids. */
#include <string.h>

#include "../codec/codec.h"
#include "check.h"
#include "model.h"

static uint64_t seed = 23;

static int8_t *draw_points(size_t n, size_t dim, size_t topics) {
  float *vectors = topics > 0 ? draw_topics(&seed, n, dim, topics, 0.3) : draw_rows(&seed, n, dim);
  int8_t *points = room(n, mv_padded_dim(dim));
  MUST(mv_points(vectors, n, dim, 9, points) == MV_OK);
  free(vectors);
  return points;
}

static uint32_t brute_nearest(const uint8_t *rows, size_t n_rows, size_t padded,
                              const int8_t *point) {
  uint32_t nearest = 0;
  int64_t best = INT64_MIN;
  for (uint32_t r = 0; r < n_rows; r++) {
    int64_t dot = 0;
    for (size_t d = 0; d < padded; d++) dot += (rows[r * padded + d] - 128) * point[d];
    if (dot > best) {
      best = dot;
      nearest = r;
    }
  }
  return nearest;
}

/* ---- nearest ---- */

static void case_nearest(size_t n_rows, size_t n, size_t dim) {
  const size_t padded = mv_padded_dim(dim);
  uint8_t *rows = room(n_rows, padded);
  int8_t *points = draw_points(n, dim, 0), *row_points = draw_points(n_rows, dim, 0);
  uint32_t *nearest = room(n, sizeof *nearest);
  for (size_t i = 0; i < n_rows * padded; i++) rows[i] = (uint8_t)(row_points[i] + 128);
  if (n_rows > 40) memcpy(rows + 40 * padded, rows + 3 * padded, padded); /* a tie */
  CHECK(mv_nearest(rows, n_rows, dim, points, n, nearest) == MV_OK, "dim %zu", dim);
  for (size_t i = 0; i < n; i++) {
    CHECK(nearest[i] == brute_nearest(rows, n_rows, padded, points + i * padded),
          "%zu rows, dim %zu, point %zu of %zu", n_rows, dim, i, n);
  }
  free(rows);
  free(points);
  free(row_points);
  free(nearest);
}

static void test_nearest(void) {
  static const size_t dims[] = {1, 3, 16, 100, 128};
  static const size_t counts[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 200};
  for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
    for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++) {
      case_nearest(counts[j], 77, dims[i]);
      case_nearest(50, counts[j], dims[i]);
    }
  }
  case_nearest(33, 20, 4096);
  uint8_t row[16] = {0};
  int8_t point[16] = {0};
  uint32_t nearest;
  CHECK(mv_nearest(row, 0, 1, point, 1, &nearest) == MV_ERROR_ARGUMENT, "no rows");
  CHECK(mv_nearest(row, 1, 1, point, 0, &nearest) == MV_OK, "no points");
}

/* ---- k-means ---- */

static size_t rows_used(const uint8_t *rows, size_t k, size_t dim, const int8_t *points, size_t n) {
  uint32_t *nearest = room(n, sizeof *nearest);
  uint8_t *used = room(k, 1);
  size_t count = 0;
  memset(used, 0, k);
  MUST(mv_nearest(rows, k, dim, points, n, nearest) == MV_OK);
  for (size_t i = 0; i < n; i++) {
    count += !used[nearest[i]];
    used[nearest[i]] = 1;
  }
  free(nearest);
  free(used);
  return count;
}

static int64_t total_dot(const uint8_t *rows, size_t k, size_t padded, const int8_t *points,
                         size_t n) {
  int64_t total = 0;
  for (size_t i = 0; i < n; i++) {
    const uint8_t *row = rows + brute_nearest(rows, k, padded, points + i * padded) * padded;
    for (size_t d = 0; d < padded; d++) total += (row[d] - 128) * points[i * padded + d];
  }
  return total;
}

static void case_kmeans(size_t n, size_t k, size_t dim, size_t topics) {
  const size_t padded = mv_padded_dim(dim);
  int8_t *points = draw_points(n, dim, topics);
  uint8_t *rows = room(k, padded), *again = room(k, padded);
  CHECK(mv_kmeans(points, n, dim, k, 0, 5, again) == MV_OK, "drawn rows alone");
  const int64_t before = total_dot(again, k, padded, points, n);
  CHECK(mv_kmeans(points, n, dim, k, 8, 5, rows) == MV_OK, "n %zu k %zu", n, k);
  CHECK(total_dot(rows, k, padded, points, n) >= before, "n %zu k %zu dim %zu", n, k, dim);
  CHECK(mv_kmeans(points, n, dim, k, 8, 5, again) == MV_OK, "n %zu k %zu", n, k);
  CHECK(memcmp(rows, again, k * padded) == 0, "n %zu k %zu: another outcome", n, k);
  for (size_t i = 0; i < k * padded; i++) {
    CHECK(i % padded < dim || rows[i] == 128, "padding of row %zu", i / padded);
  }
  CHECK(rows_used(rows, k, dim, points, n) == (k < n ? k : n), "n %zu k %zu: %zu used", n, k,
        rows_used(rows, k, dim, points, n));
  free(points);
  free(rows);
  free(again);
}

/* All points equal: one centroid has them all, the others are drawn anew each time. */
static void test_equal_points(void) {
  int8_t points[10 * 16] = {0};
  uint8_t rows[4 * 16];
  for (size_t i = 0; i < 10; i++) points[i * 16] = 100;
  CHECK(mv_kmeans(points, 10, 1, 4, 3, 1, rows) == MV_OK, "equal points");
  for (size_t c = 0; c < 4; c++) {
    CHECK(rows[c * 16] == (c == 0 ? 255 : 228), "row %zu is %d", c, rows[c * 16]);
  }
}

/* Opposite points cancel out: the sum has no direction, so the row stays. */
static void test_no_direction(void) {
  int8_t points[2 * 16] = {0};
  uint8_t rows[16];
  points[0] = 100;
  points[16] = -100;
  CHECK(mv_kmeans(points, 2, 1, 1, 3, 1, rows) == MV_OK, "opposite points");
  CHECK(rows[0] == 228 || rows[0] == 28, "the row is %d", rows[0]);
}

static void test_kmeans(void) {
  case_kmeans(2000, 20, 32, 20);
  case_kmeans(2000, 64, 100, 0);
  case_kmeans(1000, 1, 48, 3);
  case_kmeans(64, 64, 128, 0);
  case_kmeans(40, 33, 16, 0);
  test_equal_points();
  test_no_direction();
  int8_t point[16] = {0};
  uint8_t rows[5 * 16];
  CHECK(mv_kmeans(point, 0, 1, 1, 1, 1, rows) == MV_ERROR_ARGUMENT, "no points");
  CHECK(mv_kmeans(point, 1, 1, 0, 1, 1, rows) == MV_ERROR_ARGUMENT, "no centroids");
  CHECK(mv_kmeans(point, 1, 1, MV_MAX_CENTROIDS + 1, 1, 1, rows) == MV_ERROR_ARGUMENT, "too many");
  CHECK(mv_kmeans(point, 1, 1, 5, 2, 1, rows) == MV_OK, "more centroids than points");
}

/* ---- two-level assignment ---- */

static void train_on_topics(model *out, uint32_t dim, uint32_t n_centroids, uint32_t n_groups) {
  float *sample = draw_topics(&seed, 500, dim, 20, 0.5);
  model_train(out, (model_shape){dim, 2, n_centroids, n_groups}, sample, 500);
  free(sample);
}

static void case_assign(uint32_t dim, uint32_t n_centroids, uint32_t n_groups, size_t n,
                        double least_equal) {
  const size_t padded = mv_padded_dim(dim);
  model used;
  train_on_topics(&used, dim, n_centroids, n_groups);
  int8_t *points = draw_points(n, dim, 20);
  uint32_t *codes = room(n, sizeof *codes);
  uint8_t *by_group = room(n_centroids, padded); /* of rows as near as each other the first wins */
  for (uint32_t i = 0; i < n_centroids; i++) {
    memcpy(by_group + i * padded, used.rows + used.members[i] * padded, padded);
  }
  CHECK(mv_centroids_assign(&used.codec->centroids, points, n, codes) == MV_OK, "n %zu", n);
  size_t equal = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t at = brute_nearest(by_group, n_centroids, padded, points + i * padded);
    equal += codes[i] == used.members[at];
    CHECK(codes[i] < n_centroids, "code %u of %u", codes[i], n_centroids);
  }
  CHECK((double)equal >= least_equal * (double)n, "dim %u, %u groups: %zu of %zu equal", dim,
        n_groups, equal, n);
  free(by_group);
  free(points);
  free(codes);
  model_free(&used);
}

/* Groups may be empty; where all that are probed are, the code is 0. */
static void test_empty_groups(void) {
  enum { GROUPS = 20 };
  float scales[MV_SCALES] = {0};
  uint8_t rows[GROUPS * 16], group_rows[GROUPS * 16];
  uint32_t starts[GROUPS + 1] = {0}; /* all centroids in the last group */
  uint32_t members[GROUPS];
  starts[GROUPS] = GROUPS;
  for (uint32_t i = 0; i < GROUPS; i++) members[i] = i;
  memset(rows, 128, sizeof rows);
  memset(group_rows, 128, sizeof group_rows);
  const mv_codec_spec spec = {1,          2,      0,       GROUPS, GROUPS, rows,
                              group_rows, starts, members, scales, scales};
  mv_codec *codec;
  int8_t point[16] = {1};
  uint32_t code = 9;
  MUST(codec_of(&spec, &codec) == MV_OK);
  CHECK(mv_centroids_assign(&codec->centroids, point, 1, &code) == MV_OK && code == 0, "code %u",
        code);
  mv_codec_free(codec);
}

static void test_assign(void) {
  for (uint32_t groups = 1; groups <= 8; groups++) {
    case_assign(20, 60 + groups, groups, 333, 1);
    case_assign(128, 9, groups, 50, 1);
  }
  case_assign(16, 200, 8, 40000, 1); /* several batches */
  case_assign(64, 300, 40, 2000, 0.9);
  case_assign(64, 900, 300, 2000, 0.7); /* of many groups the likely ones */
  case_assign(1, 8, 8, 10, 1);
  case_assign(16, 5, 2, 0, 1);
  test_empty_groups();
}

/* ---- distances ---- */

/* To the centroid that a point is assigned to, be there a nearer one or not. */
static void case_distances(uint32_t dim, uint32_t n_centroids, uint32_t n_groups, size_t n) {
  const size_t padded = mv_padded_dim(dim);
  model used;
  train_on_topics(&used, dim, n_centroids, n_groups);
  int8_t *points = draw_points(n, dim, 20);
  uint32_t *codes = room(n, sizeof *codes);
  float *distances = room(n, sizeof *distances);
  for (size_t d = 0; d < padded && n > 1; d++) { /* as far as can be from any row */
    points[d] = used.rows[d] < 128 ? 127 : -127;
    points[padded + d] = (int8_t)(used.rows[d] - 128);
  }
  CHECK(mv_centroids_assign(&used.codec->centroids, points, n, codes) == MV_OK, "n %zu", n);
  CHECK(mv_distances(used.codec, points, n, padded, distances) == MV_OK, "n %zu", n);
  for (size_t i = 0; i < n; i++) {
    int64_t square = 0;
    for (size_t d = 0; d < padded; d++) {
      const int64_t gap = used.rows[codes[i] * padded + d] - 128 - points[i * padded + d];
      square += gap * gap;
    }
    CHECK(distances[i] == (float)square, "dim %u: point %zu at %g", dim, i, (double)distances[i]);
  }
  free(points);
  free(codes);
  free(distances);
  model_free(&used);
}

static void test_distances(void) {
  case_distances(16, 60, 7, 333);
  case_distances(100, 40, 20, 100);
  case_distances(4096, 5, 2, 9);
  case_distances(3, 4, 1, 1);
  case_distances(3, 4, 1, 0);
}

int main(void) {
  test_nearest();
  test_kmeans();
  test_assign();
  test_distances();
  return checks_report();
}
