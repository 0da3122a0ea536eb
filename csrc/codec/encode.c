/* Encoding of token vectors: centroid code, residual codes and two scales. A token v is stored as
 * a * c + b * w: c its centroid, w the vector of its residual's levels.
 *
 *   1. rotate, quantise to a point and assign to a centroid, the whole batch at once
 *   2. start from the projection on the centroid; b from the norm of the residual
 *   3. REFINEMENTS times: choose the nearest levels, then the (a, b) that are best for them by
 *      least squares, stretched so that the result has unit length
 *   4. round a and b to the codec's tables and choose the levels again, which compensates rounding
 *
 * The error that matters for unit vectors is the angle: an `a` of its own costs one byte a token
 * and makes renormalisation at query time unnecessary. */
#include <math.h>
#include <string.h>

#include "../base/alloc.h"
#include "../kernels/centroid_code.h"
#include "../kernels/kernels.h"
#include "../vectors/points.h"
#include "codec.h"

enum { REFINEMENTS = 2 };

typedef struct token {
  const float *vector;   /* rotated, padded */
  const float *centroid; /* the same */
  float *levels;         /* chosen levels, in level units */
  uint8_t *codes;        /* their codes, one a byte */
  float a;
  float b;
} token;

/* Chooses the nearest level for each dimension of vector - a * centroid. */
static void choose_codes(const mv_codec *codec, token *t) {
  const mv_kernels *kernels = mv_kernels_get();
  const mv_levels *levels = codec->levels;
  const size_t n = codec->padded;
  const float inverse = t->b > 0.0f ? 1.0f / t->b : 0.0f;
  kernels->residual(t->vector, t->centroid, n, t->a, inverse, t->levels);
  if (levels->n_thresholds == 0) {
    int8_t *rounded = (int8_t *)t->codes;
    kernels->round_bytes(t->levels, n, 1.0f, rounded);
    for (size_t d = 0; d < n; d++) {
      t->levels[d] = (float)rounded[d];
      t->codes[d] = (uint8_t)(rounded[d] + levels->zero);
    }
    return;
  }
  float by_code[16] = {0};
  for (size_t k = 0; k <= levels->n_thresholds; k++) {
    by_code[k] = (float)((int)levels->bytes[k] - levels->zero);
  }
  kernels->quantise(t->levels, n, levels->thresholds, levels->n_thresholds, by_code, t->codes,
                    t->levels);
  /* No level is zero, but padding is never decoded: its levels must not count in the scales. */
  for (size_t d = codec->dim; d < n; d++) t->levels[d] = 0.0f;
}

/* Least-squares (a, b) for the chosen codes, stretched to unit length. */
static void choose_scales(const mv_codec *codec, token *t) {
  float dots[5];
  mv_kernels_get()->products(t->vector, t->centroid, t->levels, codec->padded, dots);
  const float cc = dots[0], cw = dots[1], ww = dots[2], vc = dots[3], vw = dots[4];
  float determinant = cc * ww - cw * cw;
  float a = cc > 0.0f ? vc / cc : 1.0f;
  float b = 0.0f;
  if (determinant > 1e-6f * cc * ww) {
    float b_free = (cc * vw - cw * vc) / determinant;
    if (b_free > 0.0f) {
      b = b_free;
      a = (ww * vc - cw * vw) / determinant;
    }
  }
  float square = a * a * cc + 2.0f * a * b * cw + b * b * ww;
  float stretch = square > 0.0f ? 1.0f / sqrtf(square) : 1.0f;
  t->a = a * stretch;
  t->b = b * stretch;
}

/* Length of vector - a * centroid. Overwrites the levels. */
static float residual_norm(const mv_codec *codec, token *t, float a) {
  const mv_kernels *kernels = mv_kernels_get();
  return sqrtf(kernels->residual(t->vector, t->centroid, codec->padded, a, 1.0f, t->levels));
}

/* The scales that a codec with unlimited tables would use, starting from the vector's projection on
 * its centroid. */
static void fit(const mv_codec *codec, token *t) {
  float dots[5];
  mv_kernels_get()->products(t->vector, t->centroid, t->vector, codec->padded, dots);
  const float cc = dots[0], vc = dots[3];
  t->a = cc > 0.0f ? vc / cc : 1.0f;
  t->b = residual_norm(codec, t, t->a) / (sqrtf((float)codec->dim) * codec->levels->sigma);
  for (int i = 0; i < REFINEMENTS; i++) {
    choose_codes(codec, t);
    choose_scales(codec, t);
  }
}

static uint8_t nearest_scale(const float *scales, float x) {
  if (x <= scales[0]) return 0;
  if (x >= scales[MV_SCALES - 1]) return MV_SCALES - 1;
  size_t low = 0; /* becomes the last one with scales[low] <= x */
  for (size_t step = MV_SCALES / 2; step > 0; step /= 2) low += scales[low + step] <= x ? step : 0;
  return (uint8_t)(x - scales[low] <= scales[low + 1] - x ? low : low + 1);
}

/* Planar packing: see kernels.h, unpack. */
static void pack(const uint8_t *codes, size_t n, unsigned bits, uint8_t *packed) {
  size_t width = n * bits / 8;
  memset(packed, 0, width);
  for (unsigned plane = 0; plane < 8 / bits; plane++) {
    const uint8_t *from = codes + plane * width;
    for (size_t j = 0; j < width; j++) {
      packed[j] = (uint8_t)(packed[j] | from[j] << (plane * bits));
    }
  }
}

/* n vectors, rotated, quantised and assigned to centroids. */
typedef struct batch {
  float *rotated;    /* [n][padded] */
  int8_t *points;    /* [n][padded] */
  uint32_t *numbers; /* [n], of centroids */
  float *rows;       /* centroid and levels of one token: two padded rows */
  uint8_t *codes;    /* of one token */
} batch;

static void batch_free(batch *work) {
  mv_free(work->rotated);
  mv_free(work->points);
  mv_free(work->numbers);
  mv_free(work->rows);
  mv_free(work->codes);
}

static token load_token(const mv_codec *codec, const batch *work, size_t i) {
  mv_load_centroid(codec, work->numbers[i], work->rows);
  return (token){work->rotated + i * codec->padded,
                 work->rows,
                 work->rows + codec->padded,
                 work->codes,
                 1.0f,
                 0.0f};
}

/* On failure the batch is freed. */
static mv_status batch_init(const mv_codec *codec, const float *vectors, size_t n, batch *work) {
  const size_t padded = codec->padded;
  work->rotated = mv_alloc(n * padded, sizeof(float));
  work->points = mv_alloc(n, padded);
  work->numbers = mv_alloc(n, sizeof(*work->numbers));
  work->rows = mv_alloc(2 * padded, sizeof(float));
  work->codes = mv_alloc(padded, 1);
  mv_status status = MV_ERROR_MEMORY;
  if (work->rotated != NULL && work->points != NULL && work->numbers != NULL &&
      work->rows != NULL && work->codes != NULL) {
    for (size_t i = 0; i < n; i++) {
      float *rotated = work->rotated + i * padded;
      mv_rotation_apply(&codec->rotation, vectors + i * codec->dim, rotated);
      mv_point_quantise(codec->dim, padded, rotated, work->points + i * padded);
    }
    status = mv_centroids_assign(&codec->centroids, work->points, n, work->numbers);
  }
  if (status != MV_OK) batch_free(work);
  return status;
}

mv_status mv_fit_scales(const mv_codec *codec, const float *vectors, size_t n, size_t dim, float *a,
                        float *b) {
  if (dim != codec->dim) return MV_ERROR_ARGUMENT;
  batch work;
  mv_status status = batch_init(codec, vectors, n, &work);
  if (status != MV_OK) return status;
  for (size_t i = 0; i < n; i++) {
    token t = load_token(codec, &work, i);
    fit(codec, &t);
    a[i] = t.a;
    b[i] = t.b;
  }
  batch_free(&work);
  return MV_OK;
}

mv_status mv_distances(const mv_codec *codec, const int8_t *points, size_t n, size_t width,
                       float *distances) {
  if (width != codec->padded) return MV_ERROR_ARGUMENT;
  uint32_t *codes = mv_alloc(n, sizeof(uint32_t));
  if (codes == NULL) return MV_ERROR_MEMORY;
  mv_status status = mv_centroids_assign(&codec->centroids, points, n, codes);
  for (size_t i = 0; status == MV_OK && i < n; i++) {
    const uint8_t *row = mv_centroid_row(&codec->centroids, codes[i]);
    const int8_t *point = points + i * codec->padded;
    int32_t sum = 0;
    for (size_t d = 0; d < codec->padded; d++) {
      int32_t gap = (int32_t)row[d] - 128 - point[d];
      sum += gap * gap;
    }
    distances[i] = (float)sum;
  }
  mv_free(codes);
  return status;
}

/* Encodes one token into place i of a document's record of n tokens; returns the residual norm. */
static float encode_token(const mv_codec *codec, token *t, size_t i, size_t n, uint8_t *record) {
  fit(codec, t);
  uint8_t a = nearest_scale(codec->a_scales, t->a);
  uint8_t b = nearest_scale(codec->b_scales, t->b);
  t->a = codec->a_scales[a];
  t->b = codec->b_scales[b];
  choose_codes(codec, t);
  record[i] = a;
  record[n + i] = b;
  pack(t->codes, codec->padded, codec->bits, record + 2 * n + i * codec->packed_bytes);
  return residual_norm(codec, t, 1.0f);
}

mv_status mv_encode(const mv_codec *codec, const float *vectors, size_t n, size_t dim,
                    const uint32_t *lengths, size_t n_documents, uint8_t *codes, uint8_t *records,
                    double *residual_sum) {
  size_t total = 0;
  for (size_t i = 0; i < n_documents; i++) {
    if (lengths[i] == 0) return MV_ERROR_ARGUMENT;
    total += lengths[i];
  }
  if (total != n || dim != codec->dim) return MV_ERROR_ARGUMENT;
  batch work;
  mv_status status = batch_init(codec, vectors, n, &work);
  if (status != MV_OK) return status;
  double sum = 0.0;
  size_t first = 0;
  for (size_t document = 0; document < n_documents; document++) {
    size_t length = lengths[document];
    uint8_t *record = records + first * codec->token_bytes;
    for (size_t i = 0; i < length; i++) {
      token t = load_token(codec, &work, first + i);
      mv_code_write(codes, first + i, codec->code_bytes, work.numbers[first + i]);
      sum += (double)encode_token(codec, &t, i, length, record);
    }
    first += length;
  }
  *residual_sum = sum;
  batch_free(&work);
  return MV_OK;
}
