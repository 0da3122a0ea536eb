/* The tables of centroid scores: those of a few groups against those of all, whatever was in them
 * before. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../base/random.h"
#include "../search/query.h"
#include "../search/stages.h"
#include "check.h"
#include "collection.h"

static uint64_t seed = 167;

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

/* ---- what must be in the tables ---- */

/* What a group's mean scores with a token of the block, in the table's units. */
static int group_score(const model *used, const mv_table *table, uint32_t group, size_t token) {
  const mv_block *block = &table->block;
  const size_t padded = mv_padded_dim(used->spec.dim);
  int32_t dot = 0;
  for (size_t d = 0; d < padded; d++) {
    dot += ((int)used->group_rows[group * padded + d] - 128) *
           block->packed[d / 4 * block->lanes * 4 + token * 4 + d % 4];
  }
  return (int)lroundf((float)dot * table->narrow[token]);
}

/* Whether a group is among the best `wanted` of a token of the block; of equal ones the first. */
static int is_wanted(const model *used, const mv_table *table, uint32_t group, size_t wanted) {
  for (size_t l = 0; l < table->block.tokens; l++) {
    const int mine = group_score(used, table, group, l);
    size_t before = 0;
    for (uint32_t g = 0; g < used->spec.n_groups; g++) {
      const int other = group_score(used, table, g, l);
      before += other > mine || (other == mine && g < group);
    }
    if (before < wanted) return 1;
  }
  return 0;
}

static void check_mark(const model *used, const mv_table *table, uint32_t group, size_t wanted,
                       const char *what) {
  const uint8_t mark = table->groups[group];
  const int whole = wanted == 0 || wanted >= used->spec.n_groups;
  if (whole) {
    CHECK(mark == 1, "%s: group %u", what, group);
  } else {
    CHECK(mark == is_wanted(used, table, group, wanted), "%s: group %u, mark %d", what, group,
          mark);
  }
}

/* The row of a centroid, by its number. */
static size_t row_of(const mv_table *table, uint32_t number) {
  return mv_index_read(table->row_of, number, table->row_of_bytes);
}

/* The bytes of a row, and its extremes. */
static void check_row(const mv_query *query, const int16_t *row, const uint8_t *bytes,
                      const int16_t *low, size_t tokens) {
  for (size_t l = 0; l < tokens; l++) {
    const float x = (float)(row[l] - low[l]) * query->table->coarse_scale[l];
    CHECK(bytes[l] == (uint8_t)(x + 0.5f), "lane %zu: %d for %d", l, bytes[l], row[l]);
  }
}

static void extremes(const mv_query *query, const model *used, size_t lane, int16_t *low,
                     int16_t *high) {
  const mv_table *table = query->table;
  *low = INT16_MAX;
  *high = INT16_MIN;
  for (uint32_t g = 0; g < used->spec.n_groups; g++) {
    if (!table->groups[g]) continue;
    for (uint32_t i = used->group_starts[g]; i < used->group_starts[g + 1]; i++) {
      const int16_t x = table->rows16[row_of(table, used->members[i]) * table->block.lanes + lane];
      *low = x < *low ? x : *low;
      *high = x > *high ? x : *high;
    }
  }
}

/* Scales, offset and floor follow from the extremes of what is present. */
static void check_scales(const mv_query *query, const model *used, const mv_block *block,
                         int16_t *low, int all) {
  double widest = 0, offset = 0;
  int16_t high[MV_LANES_MAX];
  for (size_t l = 0; l < block->tokens; l++) {
    const double real = (double)query->table->unit[l] * (double)block->scale[l];
    extremes(query, used, l, &low[l], &high[l]);
    widest = fmax(widest, real * (high[l] - low[l]));
    offset += real * low[l];
    const float least = all ? -FLT_MAX : query->table->unit[l] * (float)low[l];
    CHECK(query->table->floor[l] == least, "floor %g", (double)query->table->floor[l]);
  }
  CHECK(fabs((double)query->table->coarse_step - widest / 255) < 1e-6, "step");
  CHECK(fabs((double)query->table->coarse_offset - offset) < 1e-4, "offset");
}

/* Rows of groups are there where some may be absent: zeros for the coarse score. */
static void check_group_rows(const model *used, const mv_table *table, size_t wanted,
                             const char *what) {
  const size_t lanes = table->block.lanes, padded = mv_padded_dim(DIM);
  const int some = wanted > 0 && wanted < used->spec.n_groups;
  CHECK(table->n_group_rows == (some ? used->spec.n_groups : 0), "%s: %zu", what,
        table->n_group_rows);
  for (size_t g = 0; g < table->n_group_rows; g++) {
    for (size_t l = 0; l < lanes; l++) {
      int32_t dot = 0;
      for (size_t d = 0; d < padded; d++) {
        const int x = (int)used->group_rows[g * padded + d] - 128;
        dot += x * table->block.packed[d / 4 * lanes * 4 + l * 4 + d % 4];
      }
      const float off = (float)table->rows16[g * lanes + l] - (float)dot * table->narrow[l];
      CHECK(fabsf(off) <= 0.51f, "%s: group %zu, lane %zu: off by %g", what, g, l, (double)off);
      CHECK(table->rows8[g * lanes + l] == 0, "%s: group %zu", what, g);
    }
  }
}

static void check_tables(const mv_query *query, const model *used, size_t index, size_t wanted,
                         const mv_query *full, const char *what) {
  const mv_block *block = &query->table->block;
  int16_t low[MV_LANES_MAX] = {0};
  const mv_table *table = query->table;
  const uint8_t *present = table->groups;
  uint8_t *seen = room(table->n_rows, 1);
  const size_t behind = table->n_group_rows; /* rows of centroids are */
  size_t absent = 0, rows = behind;
  memset(seen, 0, table->n_rows);
  CHECK(query->table->index == index, "%s: block %zu", what, query->table->index);
  for (uint32_t g = 0; g < used->spec.n_groups; g++) absent += !present[g];
  check_scales(query, used, block, low, absent == 0);
  CHECK((query->table->kind == MV_TABLE_FULL) == (absent == 0), "%s: %zu groups are absent", what,
        absent);
  for (uint32_t g = 0; g < used->spec.n_groups; g++) {
    check_mark(used, query->table, g, wanted, what);
    for (uint32_t i = used->group_starts[g]; i < used->group_starts[g + 1]; i++) {
      const uint32_t c = used->members[i];
      const size_t row = row_of(table, c), lanes = block->lanes;
      CHECK((row >= behind) == (present[g] != 0), "%s: row %u", what, c);
      if (row < behind) {
        CHECK(row == g, "%s: row %zu of centroid %u", what, row, c);
        continue;
      }
      CHECK(row < table->n_rows && !seen[row]++, "%s: row %zu of %u", what, row, c);
      CHECK(memcmp(table->rows16 + row * lanes,
                   full->table->rows16 + row_of(full->table, c) * lanes, lanes * 2) == 0,
            "%s: row %u", what, c);
      check_row(query, table->rows16 + row * lanes, table->rows8 + row * lanes, low, block->tokens);
      rows++;
    }
  }
  CHECK(rows == table->n_rows, "%s: %zu rows of %zu", what, rows, table->n_rows);
  check_group_rows(used, table, wanted, what);
  free(seen);
}

/* The tables that a query has of a block now, against those of a query made for it. */
static void check_block(mv_query *query, const model *used, const float *vectors, size_t m,
                        size_t index, size_t wanted, const char *what) {
  mv_query *full = query_new();
  load(full, vectors, m, 0);
  CHECK(mv_table_make(query, used->codec, index) == MV_OK, "%s", what);
  MUST(mv_table_make(full, used->codec, index) == MV_OK);
  check_tables(query, used, index, wanted, full, what);
  if (wanted >= used->spec.n_groups) {
    const size_t n = full->table->n_rows * full->table->block.lanes;
    CHECK(memcmp(query->table->rows8, full->table->rows8, n) == 0, "%s: all groups", what);
    CHECK(memcmp(query->table->floor, full->table->floor,
                 full->table->block.lanes * sizeof(float)) == 0,
          "%s", what);
  }
  mv_query_free(full);
}

/* ---- one after the other ---- */

enum { N_MODELS = 3, SAMPLE = 400, LONGEST = 70 };

typedef struct world {
  float *vectors;
  model models[N_MODELS];
} world;

static void world_build(world *w) {
  static const uint32_t shapes[N_MODELS][2] = {{300, 30}, {120, 12}, {300, 12}};
  w->vectors = draw_topics(&seed, SAMPLE, DIM, 40, 0.7);
  for (size_t i = 0; i < N_MODELS; i++) {
    model_train(&w->models[i], (model_shape){DIM, 2, shapes[i][0], shapes[i][1]}, w->vectors,
                SAMPLE);
  }
}

static void world_free(world *w) {
  for (size_t i = 0; i < N_MODELS; i++) model_free(&w->models[i]);
  free(w->vectors);
}

/* Codecs, numbers of lanes, queries, blocks and numbers of groups in any order leave no trace. */
static void test_order(const world *w) {
  static const size_t tokens[] = {1, 10, 16, 17, 32, 33, 45, LONGEST};
  static const size_t wanted[] = {0, 1, 2, 5, 11, 12, 30, 1000};
  mv_query *query = query_new();
  for (int step = 0; step < 400; step++) {
    const size_t m = tokens[mv_random_below(&seed, 8)];
    const size_t groups = wanted[mv_random_below(&seed, 8)];
    const float *vectors = w->vectors + mv_random_below(&seed, SAMPLE - LONGEST) * DIM;
    load(query, vectors, m, groups);
    for (int visit = 0; visit < 3; visit++) {
      const model *used = &w->models[mv_random_below(&seed, N_MODELS)];
      const size_t index = mv_random_below(&seed, mv_query_blocks(query));
      check_block(query, used, vectors, m, index, groups, "any order");
    }
  }
  mv_query_free(query);
}

/* ---- a codec where another one was ---- */

static union {
  struct mv_codec codec;
  max_align_t aligned;
} slot;
static int slot_used;

/* Every codec lies at the same address, one after the other. */
static void *slot_hook(void *pointer, size_t size) {
  if (pointer == &slot) {
    slot_used = 0;
    return NULL;
  }
  if (size == sizeof slot.codec && !slot_used) {
    slot_used = 1;
    return &slot;
  }
  if (size == 0) {
    free(pointer);
    return NULL;
  }
  return realloc(pointer, size);
}

/* Tables outlive the codec that they were made with: another one at its address is another one. */
static void test_same_address(const world *w) {
  mv_alloc_set_hook(slot_hook);
  mv_query *query = query_new();
  for (int step = 0; step < 30; step++) {
    model now = w->models[step % N_MODELS];
    const size_t groups = 1 + (size_t)step % 4;
    const float *vectors = w->vectors + step * DIM;
    MUST(codec_of(&now.spec, &now.codec) == MV_OK);
    MUST(now.codec == &slot.codec);
    load(query, vectors, 7, groups);
    check_block(query, &now, vectors, 7, 0, groups, "a codec at the address of another");
    mv_codec_free(now.codec);
  }
  mv_query_free(query);
  mv_alloc_set_hook(NULL);
}

/* ---- memory that runs out ---- */

static long made, fail_at = -1;

static void *failing_hook(void *pointer, size_t size) {
  if (size == 0) {
    free(pointer);
    return NULL;
  }
  return made++ == fail_at ? NULL : realloc(pointer, size);
}

/* Tables that could not be made leave the query as it was, or without any. `again`: they are made
 * before the earlier ones are. */
static void case_failures(const world *w, int again) {
  for (size_t first = 0; first < N_MODELS; first++) {
    for (size_t then = 0; then < N_MODELS; then++) {
      for (long at = 0;; at++) {
        mv_query *query = query_new();
        fail_at = -1;
        load(query, w->vectors, 9, 2);
        MUST(mv_table_make(query, w->models[first].codec, 0) == MV_OK);
        load(query, w->vectors + DIM, 20, 3);
        made = 0;
        fail_at = at;
        const mv_status status = mv_table_make(query, w->models[then].codec, 0);
        const int failed = made > at;
        fail_at = -1;
        CHECK(status == (failed ? MV_ERROR_MEMORY : MV_OK), "allocation %ld", at);
        if (again) {
          check_block(query, &w->models[then], w->vectors + DIM, 20, 0, 3, "after a failure");
        }
        load(query, w->vectors, 9, 2);
        check_block(query, &w->models[first], w->vectors, 9, 0, 2, "and back");
        mv_query_free(query);
        if (!failed) break;
      }
    }
  }
}

static void test_failures(const world *w) {
  mv_alloc_set_hook(failing_hook);
  case_failures(w, 0);
  case_failures(w, 1);
  mv_alloc_set_hook(NULL);
}

/* ---- the memory of a query ---- */

static size_t live_bytes;

/* Each block begins with its size. */
static void *counting_hook(void *pointer, size_t size) {
  max_align_t *block = pointer;
  if (size == 0) {
    size_t old;
    memcpy(&old, --block, sizeof old);
    live_bytes -= old;
    free(block);
    return NULL;
  }
  MUST(block == NULL);
  block = room(1, sizeof *block + size);
  memcpy(block, &size, sizeof size);
  live_bytes += size;
  return block + 1;
}

/* A query owns what it says, whatever it was used for: but for itself, and a byte for each buffer
 * of nothing. */
static void check_bytes(const mv_query *query, const char *what) {
  const size_t own = live_bytes - sizeof *query, said = mv_query_bytes(query);
  CHECK(own >= said && own - said < 16, "%s: %zu bytes, not %zu", what, said, own);
}

static void test_bytes(const world *w) {
  enum { N = 100 };
  static const uint32_t lengths[] = {N / 2, N / 2};
  collection docs;
  mv_place places[] = {{0, 1}, {0, 0}};
  float scores[2];
  size_t count;
  collection_build(&docs, &w->models[0], DIM, w->vectors, lengths, 2, 1);
  mv_alloc_set_hook(counting_hook);
  mv_query *query = query_new();
  check_bytes(query, "new");
  for (size_t m = 3; m < LONGEST; m += 30) {
    load(query, w->vectors, m, 2);
    check_bytes(query, "loaded");
    MUST(mv_table_make(query, w->models[0].codec, 0) == MV_OK);
    check_bytes(query, "tables");
    MUST(mv_gather_start(query, &docs.view, 1, everything, 1) == MV_OK);
    MUST(mv_gather_best(query, &docs.view, 1, everything, 2, 2, places, scores, &count) == MV_OK);
    check_bytes(query, "gathered");
    MUST(mv_coarse(query, &docs.view, 1, everything, unrestricted, 2, places, scores, &count) ==
         MV_OK);
    MUST(mv_interact(query, &docs.view, 1, places, 2, scores) == MV_OK);
    MUST(mv_score(query, &docs.view, 1, places, 2, MV_SCORE_FAST, scores) == MV_OK);
    MUST(mv_score(query, &docs.view, 1, places, 2, MV_SCORE_PRECISE, scores) == MV_OK);
    check_bytes(query, "scored");
  }
  mv_query_free(query);
  CHECK(live_bytes == 0, "%zu bytes left", live_bytes);
  mv_alloc_set_hook(NULL);
  collection_free(&docs);
}

int main(void) {
  world w;
  world_build(&w);
  test_order(&w);
  test_same_address(&w);
  test_failures(&w);
  test_bytes(&w);
  world_free(&w);
  return checks_report();
}
