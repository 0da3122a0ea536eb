/* Probing: the lists of each token against an order of all of them. */
#include <math.h>
#include <string.h>

#include "../search/query.h"
#include "../search/stages.h"
#include "../vectors/rotation.h"
#include "check.h"
#include "model.h"

static uint64_t seed = 151;

/* Rows of the int16 table of a lane in order: higher first, then the first place. */
static const mv_table *ordered_table;
static const uint32_t *ordered_members;
static size_t ordered_lane;

/* The score of the lane with the centroid at a place. */
static int16_t ordered_score(uint32_t place) {
  const size_t row =
      mv_index_read(ordered_table->row_of, ordered_members[place], ordered_table->row_of_bytes);
  return ordered_table->rows16[row * ordered_table->block.lanes + ordered_lane];
}

static int row_before(const void *x, const void *y) {
  const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  const int16_t score_a = ordered_score(a);
  const int16_t score_b = ordered_score(b);
  if (score_a != score_b) return score_a > score_b ? -1 : 1;
  return a < b ? -1 : a > b;
}

/* Scores of a token with the centroids, in double and real units. */
static double *naive_scores(const model *used, const float *vector) {
  const size_t dim = used->spec.dim, padded = mv_padded_dim(dim);
  mv_rotation rotation;
  float *rotated = room(padded, sizeof *rotated);
  double *row = room(padded, sizeof *row);
  double *scores = room(used->spec.n_centroids, sizeof *scores);
  MUST(mv_rotation_init(&rotation, dim, ROTATION_SEED) == MV_OK);
  mv_rotation_apply(&rotation, vector, rotated);
  for (uint32_t c = 0; c < used->spec.n_centroids; c++) {
    centroid_vector(used, c, row);
    scores[c] = 0;
    for (size_t d = 0; d < padded; d++) scores[c] += (double)rotated[d] * row[d];
  }
  mv_rotation_free(&rotation);
  free(rotated);
  free(row);
  return scores;
}

/* Whether the tables have the row of a list. */
static int is_present(const model *used, const mv_query *query, uint32_t list) {
  return query->table->groups[group_of(used, list)];
}

/* The probes of one token, at[] of them being read so far: the lists that come first in the order
 * of those present, but what gains less than a fifth of the first. */
static void check_token(const model *used, const mv_query *query, size_t lane, size_t nprobe,
                        const float *vector, const mv_probe *probes, size_t n, double *base) {
  uint32_t *order = room(used->spec.n_centroids, sizeof *order), have = 0;
  double *scores = naive_scores(used, vector);
  const uint32_t *members = used->members;
  for (uint32_t place = 0; place < used->spec.n_centroids; place++) {
    if (is_present(used, query, members[place])) order[have++] = place;
  }
  ordered_table = query->table;
  ordered_members = members;
  ordered_lane = lane;
  qsort(order, have, sizeof *order, row_before);
  const uint32_t kept = have < nprobe ? have : (uint32_t)nprobe;
  const double last = scores[members[order[kept - 1]]];
  const double widest = scores[members[order[0]]] - last;
  const int least = ordered_score(order[kept - 1]);
  const int range = ordered_score(order[0]) - least;
  size_t at = 0;
  *base += last;
  for (uint32_t rank = 0; rank < kept; rank++) {
    const int gain = ordered_score(order[rank]) - least;
    if (rank > 0 && gain * 5 < range) continue;
    while (at < n && probes[at].token != lane) at++;
    CHECK(at < n, "token %zu, rank %u is missing", lane, rank);
    if (at == n) break;
    const uint32_t list = members[order[rank]];
    CHECK(probes[at].finds == (gain * 5 >= range * 3), "token %zu, rank %u", lane, rank);
    CHECK(probes[at].list == list && probes[at].rank == rank, "token %zu, rank %u: %u at %u", lane,
          rank, probes[at].list, probes[at].rank);
    const double off = fabs((double)probes[at].gain - (scores[list] - last));
    CHECK(off < 0.012, "token %zu, rank %u: gain %g is off by %g of %g", lane, rank,
          (double)probes[at].gain, off, widest);
    at++;
  }
  while (at < n && probes[at].token != lane) at++;
  CHECK(at == n, "token %zu has more than %u lists", lane, kept);
  free(order);
  free(scores);
}

static void case_probe(const model *used, mv_query *query, const float *vectors, size_t m,
                       size_t nprobe) {
  const size_t blocks = (m + MV_LANES_MAX - 1) / MV_LANES_MAX, dim = used->spec.dim;
  mv_probe *probes = room(MV_LANES_MAX * nprobe, sizeof *probes);
  for (size_t block = 0; block < blocks; block++) {
    size_t n = 99999;
    float base = 99;
    double expected = 0;
    CHECK(mv_probe_lists(query, used->codec, block, nprobe, probes, &n, &base) == MV_OK, "probe");
    for (size_t i = 1; i < n; i++) {
      const mv_probe *p = &probes[i], *q = &probes[i - 1];
      const int is_next = p->rank > q->rank || (p->rank == q->rank && p->token > q->token);
      CHECK(p->finds < q->finds || (p->finds == q->finds && is_next), "probe %zu", i);
    }
    const size_t first = block * MV_LANES_MAX;
    for (size_t l = 0; l < MV_LANES_MAX && first + l < m; l++) {
      check_token(used, query, l, nprobe, vectors + (first + l) * dim, probes, n, &expected);
    }
    CHECK(fabs((double)base - expected) < 0.01 * MV_LANES_MAX, "base %g is not %g", (double)base,
          expected);
  }
  free(probes);
}

static void cases_probe(uint32_t dim, uint32_t n_centroids, uint32_t n_groups) {
  enum { N = 500 };
  static const size_t tokens[] = {1, 16, 17, 32, 45}, nprobes[] = {1, 2, 5, 33};
  model used;
  mv_query *query;
  float *sample = draw_topics(&seed, N, dim, 30, 0.6);
  model_train(&used, (model_shape){dim, 2, n_centroids, n_groups}, sample, N);
  MUST(mv_query_new(&query) == MV_OK);
  for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
    if (n_centroids > 1000 && i % 2) continue;
    float *vectors = draw_topics(&seed, tokens[i], dim, 30, 0.6);
    for (size_t j = 0; j < sizeof nprobes / sizeof nprobes[0]; j++) {
      MUST(mv_query_load(query, vectors, tokens[i], dim) == MV_OK);
      case_probe(&used, query, vectors, tokens[i], nprobes[j]);
    }
    if (n_centroids < 1000) case_probe(&used, query, vectors, tokens[i], n_centroids);
    free(vectors);
  }
  mv_query_free(query);
  model_free(&used);
  free(sample);
}

static void check_refused(const model *used, mv_query *query) {
  mv_probe probes[MV_LANES_MAX];
  size_t n;
  float base;
  const size_t wrong[][2] = {{2, 1}, {0, 0}, {0, used->spec.n_centroids + (size_t)1}};
  for (size_t i = 0; i < 3; i++) {
    CHECK(mv_probe_lists(query, used->codec, wrong[i][0], wrong[i][1], probes, &n, &base) ==
              MV_ERROR_ARGUMENT,
          "block %zu, %zu lists", wrong[i][0], wrong[i][1]);
  }
}

/* Rows that are equal: the smaller number is first. Groups that are empty have no lists. */
static void test_equal_rows(void) {
  enum { DIM = 16, CENTROIDS = 12, GROUPS = 5, M = 40 };
  static uint8_t rows[CENTROIDS * DIM], group_rows[GROUPS * DIM];
  uint32_t starts[GROUPS + 1] = {0, 0, 5, 5, CENTROIDS, CENTROIDS};
  uint32_t members[CENTROIDS] = {0, 2, 3, 7, 11, 1, 4, 5, 6, 8, 9, 10};
  static const float scales[MV_SCALES];
  for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)(100 + i % DIM + i / DIM % 3 * 10);
  memset(group_rows, 128, sizeof group_rows);
  model used = {.rows = rows};
  used.spec = (mv_codec_spec){DIM,        2,      ROTATION_SEED, CENTROIDS, GROUPS, rows,
                              group_rows, starts, members,       scales,    scales};
  used.group_starts = starts;
  used.members = members;
  mv_query *query;
  float *vectors = draw_rows(&seed, M, DIM);
  MUST(codec_of(&used.spec, &used.codec) == MV_OK && mv_query_new(&query) == MV_OK);
  for (size_t nprobe = 1; nprobe <= CENTROIDS; nprobe++) {
    MUST(mv_query_load(query, vectors, M, DIM) == MV_OK);
    case_probe(&used, query, vectors, M, nprobe);
  }
  check_refused(&used, query);
  mv_query_free(query);
  mv_codec_free(used.codec);
  free(vectors);
}

/* Where no group that is wanted has a list, there is no probe. */
static void test_no_lists(void) {
  enum { DIM = 16, GROUPS = 2 };
  static uint8_t rows[GROUPS * DIM], group_rows[GROUPS * DIM];
  static const uint32_t starts[GROUPS + 1] = {0, 0, GROUPS}, members[GROUPS] = {0, 1};
  static const float scales[MV_SCALES];
  const mv_codec_spec spec = {DIM,        2,      ROTATION_SEED, GROUPS, GROUPS, rows,
                              group_rows, starts, members,       scales, scales};
  mv_codec *codec;
  mv_query *query;
  mv_probe probes[MV_LANES_MAX];
  size_t n = 9;
  float base = 9, *vector = draw_rows(&seed, 1, DIM), sum = 0;
  mv_rotation rotation;
  float rotated[DIM];
  MUST(mv_rotation_init(&rotation, DIM, ROTATION_SEED) == MV_OK);
  mv_rotation_apply(&rotation, vector, rotated);
  for (size_t d = 0; d < DIM; d++) sum += rotated[d];
  mv_rotation_free(&rotation);
  memset(group_rows, sum > 0 ? 200 : 50, DIM); /* the first, empty group is the best */
  memset(group_rows + DIM, sum > 0 ? 50 : 200, DIM);
  MUST(codec_of(&spec, &codec) == MV_OK && mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vector, 1, DIM) == MV_OK);
  query->large = 0;
  query->groups_wanted = 1;
  CHECK(mv_probe_lists(query, codec, 0, 1, probes, &n, &base) == MV_OK, "no lists");
  CHECK(n == 0 && base == 0, "%zu probes, base %g", n, (double)base);
  mv_query_free(query);
  mv_codec_free(codec);
  free(vector);
}

/* A smaller codec that is searched with the same query has its whole table: the probes are those of
 * a query that never met the large one. */
static void check_beside(const model *large, mv_query *query, const float *sample, size_t n) {
  enum { CENTROIDS = 300, GROUPS = 100 };
  static mv_probe probes[MV_LANES_MAX * CENTROIDS], expected[MV_LANES_MAX * CENTROIDS];
  const size_t dim = large->spec.dim;
  size_t count, n_expected;
  float base, expected_base;
  model small;
  mv_query *fresh;
  model_train(&small, (model_shape){large->spec.dim, 2, CENTROIDS, GROUPS}, sample, n);
  MUST(mv_query_new(&fresh) == MV_OK);
  MUST(mv_query_load(query, sample, 1, dim) == MV_OK);
  MUST(mv_query_load(fresh, sample, 1, dim) == MV_OK);
  mv_query_near_groups(query, 17);
  MUST(mv_probe_lists(query, large->codec, 0, 8, probes, &count, &base) == MV_OK);
  MUST(mv_probe_lists(query, small.codec, 0, CENTROIDS, probes, &count, &base) == MV_OK);
  MUST(mv_probe_lists(fresh, small.codec, 0, CENTROIDS, expected, &n_expected, &expected_base) ==
       MV_OK);
  CHECK(count == n_expected && base == expected_base, "%zu probes, not %zu", count, n_expected);
  CHECK(memcmp(probes, expected, count * sizeof *probes) == 0, "other probes");
  mv_query_free(fresh);
  model_free(&small);
}

/* From 8,192 centroids on the tables have but the groups that are nearest to some token, if so
 * asked for. */
static void test_large_table(void) {
  enum { DIM = 16, CENTROIDS = 33000, GROUPS = 300, N = 500, M = 3 };
  model used;
  mv_query *query;
  float *sample = draw_rows(&seed, N, DIM);
  model_train(&used, (model_shape){DIM, 2, CENTROIDS, GROUPS}, sample, N);
  MUST(mv_query_new(&query) == MV_OK);
  static const size_t wanted[] = {17, 26, 0};
  MUST(mv_query_load(query, sample, M, DIM) == MV_OK);
  for (size_t i = 0; i < 3; i++) {
    mv_query_near_groups(query, wanted[i]);
    case_probe(&used, query, sample, M, 32);
    size_t present = 0;
    for (size_t g = 0; g < GROUPS; g++) present += query->table->groups[g];
    const size_t least = wanted[i] > 0 ? wanted[i] : GROUPS;
    const size_t most = wanted[i] > 0 ? M * wanted[i] : GROUPS;
    CHECK(present >= least && present <= most, "%zu groups", present);
  }
  check_beside(&used, query, sample, N);
  mv_query_free(query);
  model_free(&used);
  free(sample);
}

int main(void) {
  cases_probe(16, 60, 7);
  cases_probe(100, 200, 1);
  test_equal_rows();
  test_no_lists();
  test_large_table();
  return checks_report();
}
