/* Scores of documents by their codes: part_score.c, fast_score.c, precise_score.c. */
#ifndef MV_SEARCH_SCORES_H
#define MV_SEARCH_SCORES_H

#include <math.h>

#include "../segment/segment.h"
#include "query.h"

/* The score of a document by all of its tokens. REQUIRES: the table is that of its codec. */
float mv_score_fast(const mv_query *query, const mv_document *doc);

/* Parts of documents scored before, by their places. */
typedef struct mv_parts {
  mv_place *places; /* [n] */
  float *best;      /* [n][m] */
  size_t n;
} mv_parts;

/* Adds to the scores of the places whose segment has the codec of the table, a partial one, those
 * by the near tokens, whose centroid's row the table has. The parts of the first parts->n places
 * are kept: the best of each query token. */
void mv_score_parts(mv_query *query, const mv_segment *segments, const mv_place *places, size_t n,
                    const mv_parts *parts, float *scores);

/* How much more a token scores than the mean of its centroid's group does, but for few: in
 * multiples of the deviation of the product of two random directions. */
#define FAR_DEVIATIONS 3.4f

static inline float mv_far_margin(const mv_codec *codec) {
  return FAR_DEVIATIONS / sqrtf((float)codec->dim);
}

/* The same as mv_score_fast, by its part, of the table's block, and by the other tokens, but those
 * whose group is more than the margin below the part. */
float mv_score_rest(mv_query *query, const mv_document *doc, const float *part);

/* As mv_score, with parts: MV_SCORE_PART keeps those of the first parts->n places, MV_SCORE_FAST
 * takes those of places that have one. */
mv_status mv_score_with(mv_query *query, const mv_segment *segments, size_t n_segments,
                        const mv_place *places, size_t n, int mode, const mv_parts *parts,
                        float *scores);

/* A block of query tokens for precise scores: in int8, and in 16 bits as two lanes of eight. */
enum {
  MV_HALF = MV_LANES_MAX / 2, /* query tokens of a half block, at most */
  MV_HALVES = MV_LANES_MAX / MV_HALF
};

typedef struct mv_half_block {
  size_t first; /* query token */
  size_t tokens;
  size_t width;         /* lanes of high parts, and of low parts behind them */
  const int8_t *packed; /* [padded / 4][2 * width][4] */
  int32_t row_bias[MV_LANES_MAX];
  int32_t level_bias[MV_LANES_MAX];
  double unit[MV_HALF]; /* real units per integer unit */
} mv_half_block;

typedef struct mv_precise {
  const mv_codec *codec;
  mv_block block;
  int32_t level_bias[MV_LANES_MAX];
  float margin; /* of a token that may be the best, in units of a lane */
  size_t n_halves;
  mv_half_block halves[MV_HALVES];
} mv_precise;

/* Loads a block, which is valid until the query's scratch memory is used again. */
mv_status mv_precise_load(mv_query *query, const mv_codec *codec, size_t index,
                          mv_precise *precise);

/* Adds to *score a document's by the tokens of a block. */
void mv_score_precise(const mv_query *query, const mv_precise *precise, const mv_document *doc,
                      float *score);

/* The precise scores of all pairs of tokens: matrix [m][doc->n_tokens]. */
mv_status mv_explain_precise(mv_query *query, const mv_codec *codec, const mv_document *doc,
                             float *matrix);

#endif
