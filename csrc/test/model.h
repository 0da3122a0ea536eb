/* What the tests of the core start from: seeded vectors, and a trained codec with the arrays it was
 * made of, each a heap block of exact size, so that a sanitiser sees what is read beside it. */
#ifndef MV_TEST_MODEL_H
#define MV_TEST_MODEL_H

#include "../mvdb.h"

/* ---- vectors ---- */

double draw_uniform(uint64_t *state); /* 0 <= x < 1 */
double draw_normal(uint64_t *state);
/* n unit rows in all directions. */
float *draw_rows(uint64_t *state, size_t n, size_t dim);
/* n unit rows around `topics` directions; noise is the length of what is added to a direction. */
float *draw_topics(uint64_t *state, size_t n, size_t dim, size_t topics, double noise);

/* What goes wrong while setting up ends the program. */
#define MUST(condition) must(condition, #condition, __FILE__, __LINE__)
void must(int holds, const char *what, const char *file, int line);
/* malloc that succeeds. */
void *room(size_t count, size_t size);

/* Whether a scored place comes before another: higher score first, then the earlier place. */
int in_order(float score, mv_place place, float next_score, mv_place next);
/* Brings n scored places into any order. */
void shuffle(uint64_t *state, mv_place *places, float *scores, size_t n);

/* ---- a codec and the arrays it was made of ---- */

typedef struct model {
  mv_codec_spec spec;
  uint8_t *rows;
  uint8_t *group_rows;
  uint32_t *group_starts;
  uint32_t *members;
  float *a_scales;
  float *b_scales;
  mv_codec *codec;
} model;

typedef struct model_shape {
  uint32_t dim, bits, n_centroids, n_groups;
} model_shape;

enum { ROTATION_SEED = 77 };

/* A codec of arrays that have the sizes that the spec's numbers ask for. */
mv_status codec_of(const mv_codec_spec *spec, mv_codec **out);

/* Centroids by k-means over the sample, or where there are more of them than sample vectors, drawn
 * at random; groups by k-means over the centroids; scales fitted to the sample. A third of the
 * centroids of each group have their numbers behind the others, as if they had been added later. */
void model_train(model *out, model_shape shape, const float *sample, size_t n);
void model_free(model *used);

/* The group that a centroid is a member of. */
uint32_t group_of(const model *used, uint32_t centroid);

/* The centroid's row as floats. */
void centroid_vector(const model *used, uint32_t number, double *out);

#endif
