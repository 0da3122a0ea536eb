/* Scores from partial tables against those from full ones. */
#include <float.h>
#include <string.h>

#include "../search/scores.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 173;

enum { DIM = 32 };

static const uint8_t everything[] = {1};
static const uint8_t *const unrestricted[] = {NULL};

static mv_query *query_new(void) {
  mv_query *query;
  MUST(mv_query_new(&query) == MV_OK);
  return query;
}

static void load(mv_query *query, const float *vectors, size_t m, size_t groups_wanted) {
  MUST(mv_query_load(query, vectors, m, DIM) == MV_OK);
  query->large = 0; /* whatever the codec */
  query->groups_wanted = groups_wanted;
}

enum { SAMPLE = 400 };

/* 1 where the tables have a centroid's row, else 0. */
static size_t is_present(const mv_table *table, uint32_t code) {
  return mv_table_row(table, code) >= table->n_group_rows;
}

/* Whether all or none of a document's centroids are in the tables: 1, 0; else -1. */
static int presence(const mv_query *query, const model *used, const collection *docs, uint32_t i) {
  size_t here = 0, n = docs->starts[i + 1] - docs->starts[i];
  for (uint32_t t = 0; t < n; t++) {
    const uint32_t code = collection_code(docs, i, t);
    here += is_present(query->table, code);
  }
  CHECK(used->codec == query->table->codec, "the tables of another codec");
  return here == n ? 1 : here == 0 ? 0 : -1;
}

/* The sum over tokens of the greatest coarse byte among a document's rows that the tables have. */
static float coarse_sum(const mv_query *query, const model *used, const mv_block *block,
                        const collection *docs, uint32_t i) {
  const uint8_t *groups = query->table->groups;
  uint32_t sum = 0;
  for (size_t l = 0; l < block->tokens; l++) {
    uint8_t best = 0;
    for (uint32_t t = 0; t < docs->starts[i + 1] - docs->starts[i]; t++) {
      const uint32_t code = collection_code(docs, i, t);
      const uint32_t g = group_of(used, code);
      const size_t row = mv_index_read(query->table->row_of, code, query->table->row_of_bytes);
      const uint8_t byte = query->table->rows8[row * block->lanes + l];
      if (groups[g] && byte > best) best = byte;
    }
    sum += best;
  }
  return query->table->coarse_offset + query->table->coarse_step * (float)sum;
}

/* Coarse scores, of documents that are scanned in pieces too. */
static void test_coarse_scores(const model *used, const float *sample) {
  enum { N = 6 };
  static const uint32_t lengths[N] = {1300, 7, 512, 513, 1, 1024};
  collection docs;
  float *vectors = draw_topics(&seed, 1300 + 7 + 512 + 513 + 1 + 1024, DIM, 40, 0.7);
  collection_build(&docs, used, DIM, vectors, lengths, N, 2);
  mv_query *query = query_new();
  for (size_t wanted = 0; wanted < 6; wanted++) {
    mv_place places[N];
    float scores[N];
    for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
    load(query, sample + wanted * DIM, 5 + wanted, wanted);
    MUST(mv_interact(query, &docs.view, 1, places, N, scores) == MV_OK);
    for (size_t i = 0; i < N; i++) {
      const float expected =
          coarse_sum(query, used, &query->table->block, &docs, places[i].document);
      CHECK(scores[i] == expected, "document %u: %g, not %g", places[i].document, (double)scores[i],
            (double)expected);
    }
  }
  mv_query_free(query);
  collection_free(&docs);
  free(vectors);
}

/* Scores of a long query, the first time and again, against the sums of those of its blocks as
 * queries. Tables of a few blocks are not made again. */
static void test_long_queries(const model *used, const float *sample) {
  enum { N = 20, LONGEST = 190 };
  static const size_t tokens[] = {32, 33, 70, 128, 129, LONGEST};
  uint32_t lengths[N];
  collection docs;
  mv_place places[N];
  for (uint32_t i = 0; i < N; i++) {
    lengths[i] = SAMPLE / N;
    places[i] = (mv_place){0, i};
  }
  collection_build(&docs, used, DIM, sample, lengths, N, 2);
  mv_query *query = query_new(), *block = query_new();
  for (size_t j = 0; j < sizeof tokens / sizeof *tokens; j++) {
    const size_t m = tokens[j];
    float expected[N] = {0}, scores[N];
    for (size_t first = 0; first < m; first += MV_LANES_MAX) {
      load(block, sample + first * DIM, m - first < MV_LANES_MAX ? m - first : MV_LANES_MAX, 3);
      MUST(mv_interact(block, &docs.view, 1, places, N, scores) == MV_OK);
      for (size_t i = 0; i < N; i++) expected[i] += scores[i];
    }
    load(query, sample, m, 3);
    uint64_t made[3] = {0};
    for (size_t turn = 1; turn < 3; turn++) {
      MUST(mv_interact(query, &docs.view, 1, places, N, scores) == MV_OK);
      CHECK(memcmp(scores, expected, sizeof scores) == 0, "%zu tokens, turn %zu", m, turn);
      made[turn] = mv_query_counts(query).centroids;
    }
    CHECK((made[2] == made[1]) == (m <= MV_TABLES * MV_LANES_MAX), "%zu tokens: %llu rows, %llu", m,
          (unsigned long long)made[1], (unsigned long long)made[2]);
  }
  mv_query_free(query);
  mv_query_free(block);
  collection_free(&docs);
}

/* A token far from the query counts as the floor, whatever its residual, alone or among others:
 * with one query token a document scores what the best of its tokens does alone. */
static void case_fast_scores(const float *sample, uint32_t bits) {
  enum { N = 200, WHOLE = 1 };
  uint32_t one_by_one[N], together[WHOLE] = {N};
  model used;
  collection apart, joined;
  for (uint32_t i = 0; i < N; i++) one_by_one[i] = 1;
  model_train(&used, (model_shape){DIM, bits, 300, 30}, sample, SAMPLE);
  collection_build(&apart, &used, DIM, sample, one_by_one, N, 3);
  collection_build(&joined, &used, DIM, sample, together, WHOLE, 1);
  mv_query *query = query_new();
  for (size_t wanted = 0; wanted < 6; wanted++) {
    mv_place places[N];
    float alone[N], score, best = -FLT_MAX;
    for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
    load(query, sample + (N + 5 * wanted) * DIM, 1, wanted);
    MUST(mv_score(query, &apart.view, 1, places, N, MV_SCORE_PART, alone) == MV_OK);
    MUST(mv_score(query, &joined.view, 1, places, 1, MV_SCORE_PART, &score) == MV_OK);
    for (size_t i = 0; i < N; i++) best = alone[i] > best ? alone[i] : best;
    CHECK(score == best, "%u bits, %zu groups: %g, alone %g", bits, wanted, (double)score,
          (double)best);
    CHECK((query->table->kind == MV_TABLE_FULL) == (wanted == 0), "%zu groups", wanted);
  }
  mv_query_free(query);
  collection_free(&apart);
  collection_free(&joined);
  model_free(&used);
}

/* In part, documents wholly in the groups that there are score as ever, but for the floor; a
 * document wholly outside scores the least that there is in the coarse stage and no less than the
 * floor in the fine one. By all tokens, documents score as with a full table. */
static void test_scores(const model *used, const float *sample) {
  enum { N = 200, M = 12 };
  uint32_t lengths[N];
  for (uint32_t i = 0; i < N; i++) lengths[i] = 1 + i % 2;
  collection docs;
  collection_build(&docs, used, DIM, sample, lengths, N, 3);
  mv_query *query = query_new(), *full = query_new();
  mv_place places[N], found[N];
  float part[N], fast[N], whole[N], coarse[N];
  size_t count, seen[3] = {0};
  for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
  load(query, sample, M, 1);
  load(full, sample, M, 0);
  MUST(mv_score(query, &docs.view, 1, places, N, MV_SCORE_PART, part) == MV_OK);
  MUST(mv_score(query, &docs.view, 1, places, N, MV_SCORE_FAST, fast) == MV_OK);
  MUST(mv_score(full, &docs.view, 1, places, N, MV_SCORE_FAST, whole) == MV_OK);
  MUST(mv_coarse(query, &docs.view, 1, everything, unrestricted, N, found, coarse, &count) ==
       MV_OK);
  MUST(count == N);
  double floor = 0;
  for (size_t l = 0; l < M; l++)
    floor += (double)query->table->floor[l] * (double)query->table->block.scale[l];
  for (uint32_t i = 0; i < N; i++) {
    const int present = presence(query, used, &docs, i);
    seen[present + 1]++;
    CHECK((double)part[i] > floor - 1e-4, "document %u scores %g below %g", i, (double)part[i],
          floor);
    if (present != 1) CHECK(part[i] < whole[i] + 1.0f * M, "document %u", i);
    if (present == 1) CHECK(part[i] > whole[i] - 1e-5f, "document %u lost something", i);
    CHECK(fast[i] == whole[i], "document %u: %g by all tokens, not %g", i, (double)fast[i],
          (double)whole[i]);
    if (floor < (double)coarse[0])
      CHECK(coarse[i] > query->table->coarse_offset - 1e-5f, "rank %u", i);
  }
  for (uint32_t i = 0; i < N; i++) {
    if (presence(query, used, &docs, found[i].document) == 0) {
      CHECK(coarse[i] == query->table->coarse_offset, "document %u", found[i].document);
    }
  }
  CHECK(seen[0] > 0 && seen[1] > 0 && seen[2] > 0, "%zu %zu %zu", seen[0], seen[1], seen[2]);
  mv_query_free(query);
  mv_query_free(full);
  collection_free(&docs);
}

/* The best score of one query token over the tokens that count by all of them: the near ones, and
 * far ones whose group comes within the margin of those. each: scores of tokens. */
static float best_of(const mv_query *query, const model *used, const collection *docs, uint32_t i,
                     float near, const float *each) {
  const mv_table *table = query->table;
  const float real = table->unit[0] * table->block.scale[0], margin = mv_far_margin(used->codec);
  float best = near;
  for (uint32_t t = 0; t < docs->starts[i + 1] - docs->starts[i]; t++) {
    const uint32_t code = collection_code(docs, i, t);
    const float mean = real * (float)table->rows16[group_of(used, code) * table->block.lanes];
    if (is_present(table, code) || mean <= near - margin - 2 * real) continue;
    if (mean < near - margin + 2 * real) return -FLT_MAX; /* rounding decides */
    if (each[t] > best) best = each[t];
  }
  return best;
}

/* A document scored in part, then by its other tokens: far ones that cannot matter are left out.
 * With one query token, and documents of several tokens beside those of one. */
static void test_rest(void) {
  enum { N = 1200, EACH = 60, WHOLE = N / EACH };
  float *sample = draw_topics(&seed, N, DIM, 200, 0.5);
  uint32_t one_by_one[N], together[WHOLE];
  model used;
  collection apart, joined;
  size_t kept = 0, left_out = 0, undecided = 0;
  for (uint32_t i = 0; i < N; i++) one_by_one[i] = 1;
  for (uint32_t i = 0; i < WHOLE; i++) together[i] = EACH;
  model_train(&used, (model_shape){DIM, 4, 300, 6}, sample, N);
  collection_build(&apart, &used, DIM, sample, one_by_one, N, 3);
  collection_build(&joined, &used, DIM, sample, together, WHOLE, 3);
  mv_query *query = query_new(), *full = query_new();
  for (size_t q = 0; q < N; q += 7) {
    mv_place places[N], found[WHOLE];
    float each[N], part[WHOLE], rest[WHOLE], whole[WHOLE], best[WHOLE];
    for (uint32_t i = 0; i < N; i++) places[i] = (mv_place){0, i};
    memcpy(found, places, sizeof found);
    const mv_parts parts = {found, best, WHOLE};
    load(query, sample + q * DIM, 1, 1 + q % 3);
    load(full, sample + q * DIM, 1, 0);
    MUST(mv_score(full, &apart.view, 1, places, N, MV_SCORE_FAST, each) == MV_OK);
    MUST(mv_score(full, &joined.view, 1, places, WHOLE, MV_SCORE_FAST, whole) == MV_OK);
    MUST(mv_score_with(query, &joined.view, 1, places, WHOLE, MV_SCORE_PART, &parts, part) ==
         MV_OK);
    MUST(mv_score_with(query, &joined.view, 1, places, WHOLE, MV_SCORE_FAST, &parts, rest) ==
         MV_OK);
    for (uint32_t i = 0; i < WHOLE; i++) {
      const float near = best[i] * query->table->block.scale[0];
      const float expected = best_of(query, &used, &joined, i, near, each + i * EACH);
      CHECK(rest[i] <= whole[i] && rest[i] >= near, "query %zu, document %u", q, i);
      if (expected == -FLT_MAX) {
        undecided++;
        continue;
      }
      CHECK(rest[i] == expected, "query %zu, document %u: %g, not %g", q, i, (double)rest[i],
            (double)expected);
      kept += rest[i] > near;
      left_out += rest[i] < whole[i];
    }
  }
  CHECK(kept > 20 && left_out > 20 && undecided < 100, "%zu, %zu, %zu", kept, left_out, undecided);
  mv_query_free(query);
  mv_query_free(full);
  collection_free(&apart);
  collection_free(&joined);
  model_free(&used);
  free(sample);
}

int main(void) {
  model used;
  float *sample = draw_topics(&seed, SAMPLE, DIM, 40, 0.7);
  model_train(&used, (model_shape){DIM, 2, 300, 30}, sample, SAMPLE);
  test_coarse_scores(&used, sample);
  test_long_queries(&used, sample);
  for (uint32_t bits = 1; bits <= 8; bits *= 2) case_fast_scores(sample, bits);
  test_scores(&used, sample);
  test_rest();
  model_free(&used);
  free(sample);
  return checks_report();
}
