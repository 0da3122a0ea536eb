/* The public C API of mvdb's core.
 *
 * Conventions
 * - A function that can fail returns mv_status and writes its results through its last parameters;
 *   on failure the results are undefined and nothing is leaked.
 * - Arrays are (pointer, count) pairs, row-major and dense. Byte arrays need no alignment; arrays
 *   of wider types are aligned as C demands.
 * - No pointer of the caller is kept beyond the call. Handles are opaque, own their memory, and are
 *   freed by their *_free (which accepts NULL).
 * - Functions may be called from any thread; an mv_codec may be shared by threads, an mv_query is
 *   used by one thread at a time.
 * - Bytes that come from a file are checked by mv_segment_check and mv_codes_check once; the other
 *   functions rely on it.
 *
 * Spaces: "token vectors" are unit rows of dim floats as users know them. Inside, they are rotated
 * (mv_rotate) and padded with zeros to mv_padded_dim(dim). */
#ifndef MVDB_H
#define MVDB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
  MV_MAX_DIM = 4096,
  MV_MAX_CENTROIDS = 1 << 24,
  MV_SCALES = 256 /* entries in each of a codec's two tables of per-token scales */
};

size_t mv_padded_dim(size_t dim);
/* Bytes of a token in a record: residual codes and two scale bytes (bits 1, 2, 4, 8), or dim
 * float16 values (bits 16). */
size_t mv_token_bytes(size_t dim, unsigned bits);
/* Bytes of a centroid code: 2 up to 65,536 centroids, 3 above. */
size_t mv_code_bytes(size_t n_centroids);
const char *mv_isa(void);
int mv_isa_select(const char *name);

/* ---- vectors ---- */

enum { MV_ROW_UNIT = 0, MV_ROW_ZERO = 1, MV_ROW_NOT_FINITE = 2 };

/* Scales n rows to unit length; state[i] tells what row i was. Rows that are zero or not finite are
 * copied unchanged. in and out may be the same. */
void mv_normalise(const float *in, size_t n, size_t dim, float *out, uint8_t *state);

/* ---- training ---- */

/* Rotates unit rows and quantises them to the int8 points that training works on:
 * points [n][mv_padded_dim(dim)]. */
mv_status mv_points(const float *vectors, size_t n, size_t dim, uint64_t seed, int8_t *points);

/* Spherical k-means (Lloyd) over n points, n >= 1, started from k of them drawn with the seed:
 * rows [k][padded] (int8 + 128). A centroid that loses all its points is put on a point drawn anew.
 * Deterministic. */
mv_status mv_kmeans(const int8_t *points, size_t n, size_t dim, size_t k, unsigned iterations,
                    uint64_t seed, uint8_t *rows);

/* Row number of the nearest of n_rows rows for each point; ties to the smaller number. */
mv_status mv_nearest(const uint8_t *rows, size_t n_rows, size_t dim, const int8_t *points, size_t n,
                     uint32_t *nearest);

/* ---- codec ---- */

typedef struct mv_codec mv_codec;

typedef struct mv_codec_spec {
  uint32_t dim;
  uint32_t bits; /* 1, 2, 4 or 8 */
  uint64_t seed; /* of the rotation */
  uint32_t n_centroids;
  uint32_t n_groups;
  const uint8_t *rows;          /* [n_centroids][padded], int8 + 128, ordered by group */
  const uint8_t *group_rows;    /* [n_groups][padded] */
  const uint32_t *group_starts; /* [n_groups + 1], first centroid of each group */
  const float *a_scales;        /* [MV_SCALES] ascending */
  const float *b_scales;        /* [MV_SCALES] ascending */
} mv_codec_spec;

mv_status mv_codec_new(const mv_codec_spec *spec, mv_codec **out);
void mv_codec_free(mv_codec *codec);

/* Two-level assignment of points to centroids. codes: n numbers. */
mv_status mv_assign(const mv_codec *codec, const int8_t *points, size_t n, uint32_t *codes);

/* The scales (a, b) that a codec without limits would give each vector: what the tables of scales
 * are fitted to. */
mv_status mv_fit_scales(const mv_codec *codec, const float *vectors, size_t n, float *a, float *b);

/* Encodes documents of lengths[i] >= 1 tokens, concatenated: codes [tokens * mv_code_bytes],
 * records [tokens * mv_token_bytes]; *residual_sum is the sum of the residuals' norms. */
mv_status mv_encode(const mv_codec *codec, const float *vectors, const uint32_t *lengths,
                    size_t n_documents, uint8_t *codes, uint8_t *records, double *residual_sum);

/* Reconstructs a document: out [n_tokens][dim]. */
mv_status mv_decode(const mv_codec *codec, const uint8_t *codes, const uint8_t *record,
                    size_t n_tokens, float *out);

/* ---- segments ---- */

/* A view of an immutable set of documents, cut into chunks of consecutive documents. A document's
 * record is: bits 1..8: a-scale bytes, b-scale bytes, residual codes (each for all tokens);
 * bits 16: float16 rows. */
typedef struct mv_segment {
  const mv_codec *codec; /* NULL: float16 records, no codes */
  uint32_t dim;
  uint32_t n_documents;
  uint32_t n_chunks;
  const uint32_t *starts;          /* [n_documents + 1], first token of each document */
  const uint32_t *chunk_documents; /* [n_chunks + 1], first document of each chunk */
  const uint8_t *const *codes;     /* [n_chunks] */
  const uint8_t *const *records;   /* [n_chunks] */
} mv_segment;

/* Checks numbers and sizes (bytes of each chunk's codes and records) against each other. */
mv_status mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                           const size_t *records_sizes);
/* Checks that n codes lie inside the codec's centroids. */
mv_status mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t n);

/* ---- search ---- */

typedef struct mv_query mv_query;

mv_status mv_query_new(mv_query **out);
void mv_query_free(mv_query *query);
/* Loads a query of m >= 1 unit token vectors; scratch memory of earlier queries is reused. */
mv_status mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim, uint64_t seed);

/* A document of a list of segments. */
typedef struct mv_place {
  uint32_t segment;
  uint32_t document;
} mv_place;

/* Ranks documents by the interaction of the query with their centroid codes alone (PLAID's
 * centroid interaction, arXiv 2205.09707 §4) and returns the best `limit` of them, best first, ties
 * by place. allowed[s] is a bitmap over the documents of segment s (bit i of byte i / 8 = document
 * i), or NULL for all. Segments without a codec are passed over. */
mv_status mv_coarse(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *const *allowed, size_t limit, mv_place *places, float *scores,
                    size_t *count);

enum {
  MV_SCORE_FAST = 0,   /* int8 query */
  MV_SCORE_PRECISE = 1 /* int16 query: equal to float arithmetic to about 1e-5 per token */
};

/* MaxSim of the stored vectors of n places. */
mv_status mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
                   const mv_place *places, size_t n, int mode, float *scores);

/* Precise token scores of one document: matrix [m][n_tokens]. */
mv_status mv_explain(mv_query *query, const mv_segment *segment, uint32_t document, float *matrix);

#endif
