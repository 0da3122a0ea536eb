/* Probing and gathering: the lists of each token against an order of all of them, and what
 * documents gain against a model that looks at every document. */
#include <math.h>
#include <string.h>

#include "../base/random.h"
#include "../codec/rotation.h"
#include "../search/query.h"
#include "check.h"
#include "collection.h"
#include "packing.h"

static uint64_t seed = 149;

/* ---- gathering ---- */

enum { N_SEGMENTS = 4, N_LISTS = 45, MOST_PROBES = 400 };

/* Segments need no codec here: lists alone count. */
typedef struct world {
  uint32_t n_documents[N_SEGMENTS], n_lists[N_SEGMENTS];
  uint8_t *has[N_SEGMENTS]; /* [n_documents][N_LISTS] */
  packing lists[N_SEGMENTS];
  mv_segment views[N_SEGMENTS];
  uint8_t *bits[N_SEGMENTS];
  size_t first[N_SEGMENTS + 1]; /* of the model's documents */
} world;

static void world_build(world *w, const uint32_t *n_documents, const uint32_t *n_lists) {
  memset(w, 0, sizeof *w);
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    const uint32_t n = n_documents[s];
    uint32_t counts[N_LISTS] = {0}, total = 0;
    uint32_t *documents = room((size_t)n * N_LISTS + 1, sizeof *documents);
    w->has[s] = room((size_t)n * N_LISTS + 1, 1);
    memset(w->has[s], 0, (size_t)n * N_LISTS);
    for (uint32_t c = 0; c < n_lists[s]; c++) {
      const uint64_t one_in = 1 + c * c / 4; /* all, then ever fewer */
      for (uint32_t i = 0; i < n; i++) {
        if (mv_random_below(&seed, one_in) > 0) continue;
        w->has[s][i * N_LISTS + c] = 1;
        documents[total++] = i;
        counts[c]++;
      }
    }
    packing_build(&w->lists[s], counts, documents, n_lists[s], 2);
    free(documents);
    w->n_documents[s] = n;
    w->n_lists[s] = n_lists[s];
    w->views[s].n_documents = n;
    w->views[s].lists = &w->lists[s].view;
    w->first[s + 1] = w->first[s] + n;
    w->bits[s] = room((n + 7) / 8, 1);
    for (size_t i = 0; i < (n + 7) / 8; i++) w->bits[s][i] = (uint8_t)mv_random_next(&seed);
  }
}

static void world_free(world *w) {
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    free(w->has[s]);
    packing_free(&w->lists[s]);
    free(w->bits[s]);
  }
}

/* What a document has gained so far: whole units of 1 / 65536, and whether it was found at all. */
typedef struct gained {
  uint64_t units;
  int found;
} gained;

/* Probes of a block, by rank, then token. Gains fall with the rank unless `wild`, are of few
 * different values so that sums are often equal, and the last ones are zero. */
static size_t draw_probes(mv_probe *probes, size_t tokens, size_t ranks, int wild) {
  uint32_t lists[MV_LANES_MAX][N_LISTS];
  size_t n = 0;
  for (size_t l = 0; l < tokens; l++) {
    for (uint32_t c = 0; c < N_LISTS; c++) lists[l][c] = c;
    for (uint32_t c = N_LISTS; c-- > 1;) {
      const uint32_t other = (uint32_t)mv_random_below(&seed, c + 1), kept = lists[l][c];
      lists[l][c] = lists[l][other];
      lists[l][other] = kept;
    }
  }
  for (size_t rank = 0; rank < ranks; rank++) {
    for (size_t l = 0; l < tokens; l++) {
      const uint64_t step = wild ? mv_random_below(&seed, 9) : ranks - 1 - rank;
      probes[n++] = (mv_probe){lists[l][rank], (uint16_t)l, (uint16_t)rank,
                               (float)step * (l % 2 ? 0.125f : 0.0371f)};
    }
  }
  return n;
}

/* For each token the gain of the first of its probes that has the document. */
static void model_block(const world *w, const uint8_t *chosen, const uint8_t *const *allowed,
                        const mv_probe *probes, size_t n, int wild, gained *all) {
  for (uint32_t s = 0; s < N_SEGMENTS; s++) {
    for (uint32_t i = 0; chosen[s] && i < w->n_documents[s]; i++) {
      double first[MV_LANES_MAX], best[MV_LANES_MAX];
      for (size_t l = 0; l < MV_LANES_MAX; l++) first[l] = best[l] = -1;
      if (allowed[s] != NULL && (allowed[s][i / 8] >> i % 8 & 1) == 0) continue;
      for (size_t p = 0; p < n; p++) {
        const double gain = (double)probes[p].gain;
        if (!w->has[s][i * N_LISTS + probes[p].list]) continue;
        double *mine = &first[probes[p].token], *highest = &best[probes[p].token];
        if (*mine < 0) *mine = gain;
        if (gain > *highest) *highest = gain;
      }
      gained *one = &all[w->first[s] + i];
      for (size_t l = 0; l < MV_LANES_MAX; l++) {
        const double gain = wild ? first[l] : best[l];
        if (gain < 0) continue;
        one->found = 1;
        one->units += (uint64_t)floor(gain * 65536 + 0.5);
      }
    }
  }
}

static uint64_t model_postings(const world *w, const uint8_t *chosen, const mv_probe *probes,
                               size_t n) {
  uint64_t postings = 0;
  for (size_t s = 0; s < N_SEGMENTS; s++) {
    for (size_t p = 0; chosen[s] && p < n; p++) {
      for (uint32_t i = 0; i < w->n_documents[s]; i++) {
        postings += w->has[s][i * N_LISTS + probes[p].list];
      }
    }
  }
  return postings;
}

static const world *ordered_world;
static const gained *ordered_gains;

static mv_place place_at(const world *w, size_t at) {
  uint32_t s = 0;
  while (at >= w->first[s + 1]) s++;
  return (mv_place){s, (uint32_t)(at - w->first[s])};
}

/* The place's number in the model. */
static size_t number_of(mv_place place) {
  return ordered_world->first[place.segment] + place.document;
}

static int before(const void *x, const void *y) {
  const size_t a = *(const size_t *)x, b = *(const size_t *)y;
  const uint64_t gain_a = ordered_gains[a].units, gain_b = ordered_gains[b].units;
  if (gain_a != gain_b) return gain_a > gain_b ? -1 : 1;
  return a < b ? -1 : a > b;
}

/* The best `limit` are those of the model, each once. */
static void check_best(const world *w, mv_query *query, const uint8_t *chosen, const gained *all,
                       size_t limit) {
  const size_t n = w->first[N_SEGMENTS];
  size_t *order = room(n + 1, sizeof *order), found = 0, count = 99999;
  for (size_t i = 0; i < n; i++) {
    if (all[i].found) order[found++] = i;
  }
  ordered_world = w;
  ordered_gains = all;
  qsort(order, found, sizeof *order, before);
  const size_t kept = limit < found ? limit : found;
  mv_place *places = room(kept, sizeof *places);
  float *scores = room(kept, sizeof *scores);
  uint8_t *seen = room(n + 1, 1);
  memset(seen, 0, n + 1);
  CHECK(mv_gather_best(query, w->views, N_SEGMENTS, chosen, limit, places, scores, &count) == MV_OK,
        "limit %zu", limit);
  CHECK(count == kept, "limit %zu, %zu found: %zu", limit, found, count);
  for (size_t i = 0; i < kept && count == kept; i++) {
    CHECK(places[i].segment < N_SEGMENTS, "segment %u", places[i].segment);
    const size_t number = number_of(places[i]);
    CHECK(scores[i] == (float)all[number].units / 65536.0f, "%zu gains %g", number,
          (double)scores[i]);
    seen[number] = 1;
  }
  for (size_t i = 0; i < kept; i++) {
    CHECK(seen[order[i]], "limit %zu, %zu found: rank %zu (%u %u)", limit, found, i,
          place_at(w, order[i]).segment, place_at(w, order[i]).document);
  }
  free(order);
  free(places);
  free(scores);
  free(seen);
}

static void check_limits(const world *w, mv_query *query, const uint8_t *chosen,
                         const gained *all) {
  static const size_t limits[] = {0, 1, 2, 10, 100, 333, 1000, SIZE_MAX};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    check_best(w, query, chosen, all, limits[i]);
  }
}

/* Two blocks of probes, read in parts. */
static void case_gather(const world *w, mv_query *query, const uint8_t *chosen,
                        const uint8_t *const *allowed, size_t tokens, size_t ranks, int wild) {
  mv_probe probes[MOST_PROBES];
  gained *all = room(w->first[N_SEGMENTS] + 1, sizeof *all);
  memset(all, 0, (w->first[N_SEGMENTS] + 1) * sizeof *all);
  CHECK(mv_gather_start(query, w->views, N_SEGMENTS, chosen) == MV_OK, "start");
  check_best(w, query, chosen, all, 10);
  for (int block = 0; block < 2; block++) {
    const size_t n = draw_probes(probes, tokens, ranks, wild);
    uint64_t postings = 7;
    mv_gather_block(query);
    for (size_t at = 0; at < n;) {
      const size_t left = n - at, part = 1 + (size_t)mv_random_below(&seed, left);
      CHECK(mv_gather(query, w->views, N_SEGMENTS, chosen, allowed, probes + at, part, &postings) ==
                MV_OK,
            "%zu probes", part);
      at += part;
    }
    CHECK(postings == 7 + model_postings(w, chosen, probes, n), "postings");
    model_block(w, chosen, allowed, probes, n, wild, all);
    check_limits(w, query, chosen, all);
  }
  free(all);
}

static void cases_of(const world *w, mv_query *query) {
  static const uint8_t choices[][N_SEGMENTS] = {
      {1, 1, 1, 1}, {0, 1, 0, 1}, {0, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 1}};
  static const uint8_t *const none[N_SEGMENTS] = {NULL};
  for (size_t c = 0; c < sizeof choices / sizeof choices[0]; c++) {
    const uint8_t *some[N_SEGMENTS] = {w->bits[0], NULL, w->bits[2], w->bits[3]};
    for (int wild = 0; wild < 2; wild++) {
      case_gather(w, query, choices[c], none, 1, 1, wild);
      case_gather(w, query, choices[c], some, 3, 4, wild);
      case_gather(w, query, choices[c], some, MV_LANES_MAX, 12, wild);
      case_gather(w, query, choices[c], none, 16, 12, wild);
    }
  }
}

/* What is not a lane is refused; a list that a segment has not is none. */
static void check_probes(const world *w, mv_query *query) {
  static const uint8_t chosen[N_SEGMENTS] = {1, 1, 1, 1};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  static const mv_probe wrong[] = {{0, MV_LANES_MAX, 0, 1}}, absent[] = {{UINT32_MAX, 0, 0, 1}};
  uint64_t postings = 0;
  size_t count;
  mv_place place;
  float score;
  MUST(mv_gather_start(query, w->views, N_SEGMENTS, chosen) == MV_OK);
  CHECK(mv_gather(query, w->views, N_SEGMENTS, chosen, allowed, wrong, 1, &postings) ==
            MV_ERROR_ARGUMENT,
        "lane 32");
  CHECK(mv_gather(query, w->views, N_SEGMENTS, chosen, allowed, absent, 1, &postings) == MV_OK,
        "a list beyond all");
  CHECK(mv_gather_best(query, w->views, N_SEGMENTS, chosen, 1, &place, &score, &count) == MV_OK,
        "nothing");
  CHECK(postings == 0 && count == 0, "%zu found", count);
}

/* Lists that are corrupt are refused on the way, and what was gathered so far does not stay. */
static void check_corrupt(const world *w, mv_query *query) {
  static const uint8_t chosen[N_SEGMENTS] = {1, 0, 0, 1};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  const packing *lists = &w->lists[0];
  size_t refused = 0;
  for (size_t i = 0; i < lists->extent_sizes[0]; i++) {
    mv_probe probes[MOST_PROBES];
    const size_t n = draw_probes(probes, 3, 10, 0);
    uint64_t postings = 0;
    lists->extents[0][i] ^= 0x80;
    MUST(mv_gather_start(query, w->views, N_SEGMENTS, chosen) == MV_OK);
    const mv_status status =
        mv_gather(query, w->views, N_SEGMENTS, chosen, allowed, probes, n, &postings);
    CHECK(status == MV_OK || status == MV_ERROR_CORRUPT, "status %d", (int)status);
    refused += status == MV_ERROR_CORRUPT;
    lists->extents[0][i] ^= 0x80;
  }
  CHECK(refused > 10, "%zu changes were refused", refused);
  case_gather(w, query, chosen, allowed, 5, 5, 0);
}

/* One query's memory serves worlds that are larger and smaller. */
static void test_gather(void) {
  static const uint32_t sizes[][N_SEGMENTS] = {
      {3, 1, 2, 9}, {900, 20, 64, 333}, {40, 1, 65, 130}, {1000, 70, 10, 400}};
  static const uint32_t lists[][N_SEGMENTS] = {
      {45, 45, 45, 45}, {45, 33, 16, 45}, {1, 2, 17, 45}, {20, 45, 45, 32}};
  mv_query *query;
  MUST(mv_query_new(&query) == MV_OK);
  for (size_t i = 0; i < 4; i++) {
    world w;
    world_build(&w, sizes[i], lists[i]);
    cases_of(&w, query);
    check_probes(&w, query);
    if (i % 2) check_corrupt(&w, query);
    world_free(&w);
  }
  mv_query_free(query);
}

/* Sums larger than the ranges they are counted by: thousands of tokens, all of one document. */
static void test_many_blocks(void) {
  enum { BLOCKS = 128 };
  static const uint32_t sizes[N_SEGMENTS] = {300, 1, 1, 1}, lists[N_SEGMENTS] = {45, 1, 1, 1};
  static const uint8_t chosen[N_SEGMENTS] = {1, 0, 0, 0};
  static const uint8_t *const allowed[N_SEGMENTS] = {NULL};
  world w;
  mv_query *query;
  world_build(&w, sizes, lists);
  gained *all = room(w.first[N_SEGMENTS], sizeof *all);
  memset(all, 0, w.first[N_SEGMENTS] * sizeof *all);
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_gather_start(query, w.views, N_SEGMENTS, chosen) == MV_OK);
  for (int block = 0; block < BLOCKS; block++) {
    mv_probe probes[MOST_PROBES];
    const size_t n = draw_probes(probes, MV_LANES_MAX, 3, 0);
    for (size_t i = 0; i < n; i++) probes[i].gain = probes[i].rank == 0 ? 12.0f : 0.5f;
    uint64_t postings = 0;
    mv_gather_block(query);
    MUST(mv_gather(query, w.views, N_SEGMENTS, chosen, allowed, probes, n, &postings) == MV_OK);
    model_block(&w, chosen, allowed, probes, n, 0, all);
  }
  check_limits(&w, query, chosen, all);
  mv_query_free(query);
  free(all);
  world_free(&w);
}

/* ---- probing ---- */

/* Rows of the int16 table of a lane in order: higher first, then the smaller number. */
static const int16_t *ordered_table;
static size_t ordered_lanes, ordered_lane;

static int row_before(const void *x, const void *y) {
  const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  const int16_t score_a = ordered_table[a * ordered_lanes + ordered_lane];
  const int16_t score_b = ordered_table[b * ordered_lanes + ordered_lane];
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
  const uint8_t *present = query->groups.data;
  uint32_t g = 0;
  while (used->group_starts[g + 1] <= list) g++;
  return present[g];
}

/* The probes of one token, at[] of them being read so far: the lists that come first in the order
 * of those present, but what gains less than a fifth of the first. */
static void check_token(const model *used, const mv_query *query, size_t lane, size_t nprobe,
                        const float *vector, const mv_probe *probes, size_t n, double *base) {
  uint32_t *order = room(used->spec.n_centroids, sizeof *order), have = 0;
  double *scores = naive_scores(used, vector);
  for (uint32_t c = 0; c < used->spec.n_centroids; c++) {
    if (is_present(used, query, c)) order[have++] = c;
  }
  ordered_table = query->table16.data;
  ordered_lanes = query->block.lanes;
  ordered_lane = lane;
  qsort(order, have, sizeof *order, row_before);
  const uint32_t kept = have < nprobe ? have : (uint32_t)nprobe;
  const double last = scores[order[kept - 1]], widest = scores[order[0]] - last;
  const int16_t *table = ordered_table + lane;
  const int least = table[order[kept - 1] * ordered_lanes];
  const int range = table[order[0] * ordered_lanes] - least;
  size_t at = 0;
  *base += last;
  for (uint32_t rank = 0; rank < kept; rank++) {
    const int gain = table[order[rank] * ordered_lanes] - least;
    if (rank > 0 && gain * 5 < range) continue;
    while (at < n && probes[at].token != lane) at++;
    CHECK(at < n, "token %zu, rank %u is missing", lane, rank);
    if (at == n) break;
    CHECK(probes[at].list == order[rank] && probes[at].rank == rank, "token %zu, rank %u: %u at %u",
          lane, rank, probes[at].list, probes[at].rank);
    const double off = fabs((double)probes[at].gain - (scores[order[rank]] - last));
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
  mv_probe *probes = room(MV_PROBE_TOKENS * nprobe, sizeof *probes);
  for (size_t block = 0; block < blocks; block++) {
    size_t n = 99999;
    float base = 99;
    double expected = 0;
    CHECK(mv_probe_lists(query, used->codec, block, nprobe, probes, &n, &base) == MV_OK, "probe");
    for (size_t i = 1; i < n; i++) {
      const mv_probe *p = &probes[i], *q = &probes[i - 1];
      CHECK(p->rank > q->rank || (p->rank == q->rank && p->token > q->token), "probe %zu", i);
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
  mv_probe probes[MV_PROBE_TOKENS];
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
  static const uint32_t starts[GROUPS + 1] = {0, 0, 5, 5, CENTROIDS, CENTROIDS};
  static const float scales[MV_SCALES];
  for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)(100 + i % DIM + i / DIM % 3 * 10);
  memset(group_rows, 128, sizeof group_rows);
  model used = {.rows = rows};
  used.spec = (mv_codec_spec){DIM,  2,          ROTATION_SEED, CENTROIDS, GROUPS,
                              rows, group_rows, starts,        scales,    scales};
  uint32_t group_starts[GROUPS + 1];
  memcpy(group_starts, starts, sizeof starts);
  used.group_starts = group_starts;
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
  static const uint32_t starts[GROUPS + 1] = {0, 0, GROUPS};
  static const float scales[MV_SCALES];
  const mv_codec_spec spec = {DIM,  2,          ROTATION_SEED, GROUPS, GROUPS,
                              rows, group_rows, starts,        scales, scales};
  mv_codec *codec;
  mv_query *query;
  mv_probe probes[MV_PROBE_TOKENS];
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
  query->groups_wanted = 1;
  CHECK(mv_probe_lists(query, codec, 0, 1, probes, &n, &base) == MV_OK, "no lists");
  CHECK(n == 0 && base == 0, "%zu probes, base %g", n, (double)base);
  mv_query_free(query);
  mv_codec_free(codec);
  free(vector);
}

/* From 32,768 centroids on the tables have but the groups that are nearest to some token. */
static void test_large_table(void) {
  enum { DIM = 16, CENTROIDS = 33000, GROUPS = 300, N = 500, M = 3 };
  model used;
  mv_query *query;
  float *sample = draw_rows(&seed, N, DIM);
  model_train(&used, (model_shape){DIM, 2, CENTROIDS, GROUPS}, sample, N);
  MUST(mv_query_new(&query) == MV_OK);
  static const size_t nprobes[] = {8, 32, 60};
  for (size_t i = 0; i < 3; i++) {
    MUST(mv_query_load(query, sample, M, DIM) == MV_OK);
    case_probe(&used, query, sample, M, nprobes[i]);
    CHECK(query->groups_wanted == 24 + nprobes[i] * 3 / 2, "%zu groups wanted",
          query->groups_wanted);
    size_t present = 0;
    for (size_t g = 0; g < GROUPS; g++) present += ((const uint8_t *)query->groups.data)[g];
    CHECK(
        present >= query->groups_wanted && present <= M * query->groups_wanted && present < GROUPS,
        "%zu groups", present);
  }
  mv_query_free(query);
  model_free(&used);
  free(sample);
}

int main(void) {
  test_gather();
  test_many_blocks();
  cases_probe(16, 60, 7);
  cases_probe(100, 200, 1);
  test_equal_rows();
  test_no_lists();
  test_large_table();
  return checks_report();
}
