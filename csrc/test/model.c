#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/random.h"

void must(int holds, const char *what, const char *file, int line) {
  if (holds) return;
  fprintf(stderr, "%s:%d: set-up failed: %s\n", file, line, what);
  exit(2);
}

void *room(size_t count, size_t size) {
  void *block = malloc(count * size);
  MUST(block != NULL || count * size == 0);
  return block;
}

int in_order(float score, mv_place place, float next_score, mv_place next) {
  if (score != next_score) return score > next_score;
  return place.segment != next.segment ? place.segment < next.segment
                                       : place.document < next.document;
}

void shuffle(uint64_t *state, mv_place *places, float *scores, size_t n) {
  for (size_t i = n; i-- > 1;) {
    const size_t other = (size_t)mv_random_below(state, i + 1);
    const mv_place place = places[i];
    const float score = scores[i];
    places[i] = places[other];
    scores[i] = scores[other];
    places[other] = place;
    scores[other] = score;
  }
}

/* ---- vectors ---- */

double draw_uniform(uint64_t *state) { return (double)(mv_random_next(state) >> 11) * 0x1p-53; }

double draw_normal(uint64_t *state) { /* Box and Muller */
  const double radius = sqrt(-2.0 * log(1.0 - draw_uniform(state)));
  return radius * cos(6.283185307179586 * draw_uniform(state));
}

static void normalise(float *rows, size_t n, size_t dim) {
  uint8_t *state = room(n, 1);
  mv_normalise(rows, 4, n, dim, rows, 4, state);
  for (size_t i = 0; i < n; i++) MUST(state[i] == MV_ROW_UNIT);
  free(state);
}

float *draw_rows(uint64_t *state, size_t n, size_t dim) {
  float *rows = room(n * dim, sizeof(float));
  for (size_t i = 0; i < n * dim; i++) rows[i] = (float)draw_normal(state);
  normalise(rows, n, dim);
  return rows;
}

float *draw_topics(uint64_t *state, size_t n, size_t dim, size_t topics, double noise) {
  float *directions = draw_rows(state, topics, dim);
  float *rows = draw_rows(state, n, dim);
  for (size_t i = 0; i < n; i++) {
    const float *direction = directions + mv_random_below(state, topics) * dim;
    for (size_t d = 0; d < dim; d++) {
      rows[i * dim + d] = direction[d] + (float)noise * rows[i * dim + d];
    }
  }
  free(directions);
  normalise(rows, n, dim);
  return rows;
}

/* ---- a codec ---- */

static int8_t *points_of(const float *vectors, size_t n, size_t dim) {
  int8_t *points = room(n * mv_padded_dim(dim), 1);
  MUST(mv_points(vectors, n, dim, ROTATION_SEED, points) == MV_OK);
  return points;
}

static void make_rows(model *out, const float *sample, size_t n) {
  const mv_codec_spec *spec = &out->spec;
  const size_t padded = mv_padded_dim(spec->dim);
  out->rows = room(spec->n_centroids * padded, 1);
  if (n >= spec->n_centroids) {
    int8_t *points = points_of(sample, n, spec->dim);
    MUST(mv_kmeans(points, n, spec->dim, spec->n_centroids, 4, 1, out->rows) == MV_OK);
    free(points);
    return;
  }
  uint64_t state = 5;
  float *drawn = draw_rows(&state, spec->n_centroids, spec->dim);
  int8_t *points = points_of(drawn, spec->n_centroids, spec->dim);
  for (size_t i = 0; i < spec->n_centroids * padded; i++) out->rows[i] = (uint8_t)(points[i] + 128);
  free(points);
  free(drawn);
}

/* Groups the rows, and orders two thirds of them by group, then the others. */
static void make_groups(model *out) {
  const mv_codec_spec *spec = &out->spec;
  const size_t n = spec->n_centroids, padded = mv_padded_dim(spec->dim);
  int8_t *points = room(n * padded, 1);
  uint32_t *group = room(n, sizeof *group), *group_now = room(n, sizeof *group_now);
  uint32_t *starts = room((size_t)spec->n_groups + 1, sizeof *starts);
  uint8_t *ordered = room(n * padded, 1);
  out->group_rows = room(spec->n_groups * padded, 1);
  for (size_t i = 0; i < n * padded; i++) points[i] = (int8_t)((int)out->rows[i] - 128);
  MUST(mv_kmeans(points, n, spec->dim, spec->n_groups, 2, 2, out->group_rows) == MV_OK);
  MUST(mv_nearest(out->group_rows, spec->n_groups, spec->dim, points, n, group) == MV_OK);
  uint32_t placed = 0;
  for (int late = 0; late < 2; late++) {
    for (uint32_t g = 0; g < spec->n_groups; g++) {
      for (size_t i = 0; i < n; i++) {
        if (group[i] != g || (i % 3 == 0) != late) continue;
        group_now[placed] = g;
        memcpy(ordered + placed++ * padded, out->rows + i * padded, padded);
      }
    }
  }
  out->members = room(n, sizeof *out->members);
  placed = 0;
  for (uint32_t g = 0; g < spec->n_groups; g++) {
    starts[g] = placed;
    for (uint32_t i = 0; i < n; i++) {
      if (group_now[i] == g) out->members[placed++] = i;
    }
  }
  starts[spec->n_groups] = placed;
  free(points);
  free(group);
  free(group_now);
  free(out->rows);
  out->rows = ordered;
  out->group_starts = starts;
}

uint32_t group_of(const model *used, uint32_t centroid) {
  uint32_t at = 0, g = 0;
  while (used->members[at] != centroid) at++;
  while (used->group_starts[g + 1] <= at) g++;
  return g;
}

static void extremes(const float *x, size_t n, float *low, float *high) {
  *low = *high = x[0];
  for (size_t i = 1; i < n; i++) {
    *low = x[i] < *low ? x[i] : *low;
    *high = x[i] > *high ? x[i] : *high;
  }
}

/* a in equal steps; b from zero in equal ratios, as their errors matter. */
static void fit_tables(model *out, const float *sample, size_t n) {
  float *a = room(n, sizeof *a), *b = room(n, sizeof *b);
  float a_low, a_high, b_low, b_high;
  MUST(mv_fit_scales(out->codec, sample, n, out->spec.dim, a, b) == MV_OK);
  extremes(a, n, &a_low, &a_high);
  extremes(b, n, &b_low, &b_high);
  if (b_low < b_high / 1000) b_low = b_high / 1000;
  for (int i = 0; i < MV_SCALES; i++) {
    const float at = (float)i / (MV_SCALES - 1);
    out->a_scales[i] = a_low + (a_high - a_low) * at;
    out->b_scales[i] = i == 0 || b_high <= 0 ? 0 : b_low * powf(b_high / b_low, at);
  }
  free(a);
  free(b);
}

mv_status codec_of(const mv_codec_spec *spec, mv_codec **out) {
  const size_t padded = mv_padded_dim(spec->dim);
  const mv_codec_sizes sizes = {spec->n_centroids * padded,
                                spec->n_groups * padded,
                                (size_t)spec->n_groups + 1,
                                spec->n_centroids,
                                MV_SCALES,
                                MV_SCALES};
  return mv_codec_new(spec, &sizes, out);
}

void model_train(model *out, model_shape shape, const float *sample, size_t n) {
  memset(out, 0, sizeof *out);
  mv_codec_spec *spec = &out->spec;
  spec->dim = shape.dim;
  spec->bits = shape.bits;
  spec->seed = ROTATION_SEED;
  spec->n_centroids = shape.n_centroids;
  spec->n_groups = shape.n_groups;
  out->a_scales = room(MV_SCALES, sizeof(float));
  out->b_scales = room(MV_SCALES, sizeof(float));
  make_rows(out, sample, n);
  make_groups(out);
  spec->rows = out->rows;
  spec->group_rows = out->group_rows;
  spec->group_starts = out->group_starts;
  spec->members = out->members;
  spec->a_scales = out->a_scales;
  spec->b_scales = out->b_scales;
  for (int i = 0; i < MV_SCALES; i++) out->a_scales[i] = out->b_scales[i] = (float)i;
  MUST(codec_of(spec, &out->codec) == MV_OK);
  fit_tables(out, sample, n);
  mv_codec_free(out->codec);
  MUST(codec_of(spec, &out->codec) == MV_OK);
}

void model_free(model *used) {
  mv_codec_free(used->codec);
  free(used->rows);
  free(used->group_rows);
  free(used->group_starts);
  free(used->members);
  free(used->a_scales);
  free(used->b_scales);
}

void centroid_vector(const model *used, uint32_t number, double *out) {
  const size_t dim = used->spec.dim, padded = mv_padded_dim(dim);
  const double clip = 6.0 / sqrt((double)dim); /* as the format says */
  const double unit = (clip < 1.0 ? clip : 1.0) / 127.0;
  for (size_t d = 0; d < padded; d++) out[d] = (used->rows[number * padded + d] - 128) * unit;
}
