/* A query prepared for scoring, shared by the coarse and the fine stage.
 *
 * Query tokens become lanes of the kernels, in blocks of at most MV_LANES_MAX tokens; a long query
 * is several blocks whose scores add up. For one block at a time the query holds two tables of
 * centroid scores, [n_centroids][lanes]: int16 for the fine score, bytes for the coarse one.
 *
 * When lists are probed in a large table, only the rows of the groups nearest to some query token
 * are computed. The others hold anything: `present` tells them apart. What they would have scored
 * is worse than what most documents find elsewhere, so that a floor, the least score computed,
 * stands for it. */
#ifndef MV_SEARCH_QUERY_H
#define MV_SEARCH_QUERY_H

#include "../base/alloc.h"
#include "../codec/codec.h"
#include "../kernels/kernels.h"

enum {
  MV_TILE = 64 /* document tokens unpacked and scored at a time: stays in L1 */
};

/* What the tables have of a group of centroids. */
enum {
  MV_GROUP_ABSENT = 0,
  MV_GROUP_PRESENT = 1,
  MV_GROUP_BEST = 2 /* present, and the nearest to some token of all groups */
};

typedef struct mv_block {
  size_t first; /* query token */
  size_t tokens;
  size_t lanes;                   /* MV_LANES_MIN or MV_LANES_MAX */
  const int8_t *packed;           /* [padded / 4][lanes][4] */
  const float *scale;             /* [tokens]: real units per integer unit */
  int32_t row_bias[MV_LANES_MAX]; /* undoes the zero point of centroid rows */
  int32_t sums[MV_LANES_MAX];     /* of the lane's integers */
  float lengths[MV_LANES_MAX];    /* Euclidean, in integer units */
} mv_block;

/* What gathering knows of a document. */
typedef struct mv_found {
  uint32_t sum;    /* of gains, and 1 */
  uint32_t tokens; /* bit l: a list of token l of this block had it */
} mv_found;

struct mv_query {
  size_t m;
  size_t dim;
  size_t padded;
  mv_buffer plain; /* float [m][dim], as loaded */
  /* The query in the space of a codec: by the rotation of its seed. */
  int is_rotated;
  uint64_t seed;
  mv_buffer rotated; /* float [m][padded] */
  mv_buffer packed;  /* int8, all blocks */
  mv_buffer scales;  /* float [m] */
  /* Tables of one block. */
  const mv_codec *table_codec;
  size_t table_block;
  mv_block block; /* that one */
  int tables_valid;
  size_t groups_wanted; /* per query token; 0: rows of all groups are computed */
  mv_buffer groups;     /* uint8 [n_groups]: MV_GROUP_ABSENT and so on */
  mv_buffer present;    /* a bit for each row: whether the tables have it */
  int all_present;
  float floor[MV_LANES_MAX]; /* a token's score is taken to be no less, in integer units */
  mv_buffer table16;
  mv_buffer table8;
  float unit[MV_LANES_MAX]; /* table16 to centroid dot products in integer units of the lane */
  float coarse_scale[MV_LANES_MAX]; /* table8 units per unit of table16 */
  float coarse_step;                /* real score per unit of table8 */
  float coarse_offset;              /* real score of all-zero table8 entries, summed over lanes */
  /* Scratch of the scoring loops. */
  mv_buffer rows;      /* uint8 [MV_TILE][padded] */
  mv_buffer dots;      /* int32 [MV_TILE or rows of a probe][lanes] */
  mv_buffer lanes;     /* float queries of a float16 block, [dim][lanes] */
  mv_buffer sums;      /* float, coarse scores of all documents */
  mv_buffer documents; /* mv_document, those of an interaction */
  /* Gathering. found is all zero but for the documents in order. */
  mv_buffer found; /* mv_found, documents of the chosen segments one behind the other */
  mv_buffer order; /* uint32, those that were found */
  size_t n_found;
};

/* 1 where `present` of a query has a centroid's row, else 0. */
static inline size_t mv_is_present(const uint8_t *present, uint32_t code) {
  return (size_t)(present[code / 8] >> (code % 8) & 1);
}

size_t mv_query_blocks(const mv_query *query);

/* Which query tokens a block has: its first, tokens and lanes, and nothing else. */
void mv_query_span(const mv_query *query, size_t index, mv_block *block);

/* Brings the query into the space of a codec, unless it is there: rotated, packed and scales are of
 * the codec that was entered last. MV_ERROR_ARGUMENT for a codec of another dimension. */
mv_status mv_query_enter(mv_query *query, const mv_codec *codec);

/* Whether the segments have the query's dimension. */
int mv_query_fits(const mv_query *query, const mv_segment *segments, size_t n_segments);

/* Whether an earlier segment has the codec of segment s. */
int mv_codec_seen(const mv_segment *segments, size_t s);

/* The greatest absolute value of n floats. */
float mv_largest(const float *x, size_t n);

/* Computes the tables of a block for a codec, and query->block, unless they are there already. */
mv_status mv_query_tables(mv_query *query, const mv_codec *codec, size_t index);

#endif
