/* The public C API of mvdb's core.
 *
 * Conventions
 *  1. Ownership. Handles (mv_codec, mv_query) are opaque and own their memory; their *_free accepts
 *     NULL. Views (mv_segment, mv_lists) and arrays belong to the caller; no pointer to them is
 *     kept beyond the call.
 *  2. (pointer, count). Arrays are given as a pointer and a count of entries, row-major and dense;
 *     [n][dim] in a comment is their shape. Byte arrays need no alignment, wider types that of C.
 *  3. Sizes. Where a length comes from a file, or from elsewhere than the numbers that it must
 *     agree with, the size of the buffer is an argument and is checked.
 *  4. Threads. Every function may be called from any thread. An mv_codec is immutable and shared;
 *     an mv_query is used by one thread at a time.
 *  5. Errors. A function that can fail returns mv_status and writes its results through its last
 *     parameters. On failure the results are undefined, nothing is leaked, and the handles given
 *     can be used again.
 *  6. Untrusted bytes. mv_codec_new, mv_segment_check, mv_lists_check, mv_codes_check,
 *     mv_units_check and mv_documents_check check bytes of a file once (MV_ERROR_CORRUPT); the
 *     other functions rely on them.
 *  7. Spaces. Token vectors are unit rows of dim floats. Inside they are rotated
 *     (vectors/rotation.h) and padded with zeros to mv_padded_dim(dim); "points" are such rows as
 *     int8. */
#ifndef MVDB_H
#define MVDB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* ---- sizes and instruction sets ---- */

enum {
  MV_MAX_DIM = 4096,
  MV_MAX_CENTROIDS = 1 << 24,
  MV_SCALES = 256 /* entries of each of a codec's two tables of per-token scales */
};

size_t mv_padded_dim(size_t dim);
/* Bytes of a token in a record: residual codes and two scale bytes (bits 1, 2, 4, 8), or dim
 * float16 values (bits 16). */
size_t mv_token_bytes(size_t dim, unsigned bits);
/* Bytes of a centroid code: 2 up to 65,536 centroids, 3 above. */
size_t mv_code_bytes(size_t n_centroids);

/* The name of the kernels in use. */
const char *mv_isa(void);
/* Chooses kernels by name; 0 when the name is unknown or unsupported here. For tests: a query that
 * was loaded before is to be loaded again. */
int mv_isa_select(const char *name);

/* ---- vectors ---- */

enum { MV_ROW_UNIT = 0, MV_ROW_ZERO = 1, MV_ROW_NOT_FINITE = 2 };

/* Scales n rows of dim <= MV_MAX_DIM numbers to unit length; state[i] is the kind of row i. Rows
 * that are zero or not finite are copied unchanged. Numbers of 4 bytes are float, those of 2 bytes
 * IEEE binary16, which has 11 bits and is rounded to nearest even. in and out may be the same where
 * their numbers are. */
void mv_normalise(const void *in, size_t in_bytes, size_t n, size_t dim, void *out,
                  size_t out_bytes, uint8_t *state);

/* ---- training ---- */

/* Rotates unit rows and quantises them to points [n][padded], the input of training. */
mv_status mv_points(const float *vectors, size_t n, size_t dim, uint64_t seed, int8_t *points);

/* Spherical k-means (Lloyd) over n >= 1 points, started from k of them drawn with the seed: rows
 * [k][padded] (int8 + 128). A centroid that loses all its points is put on a point drawn anew.
 * Deterministic. */
mv_status mv_kmeans(const int8_t *points, size_t n, size_t dim, size_t k, unsigned iterations,
                    uint64_t seed, uint8_t *rows);

/* Number of the nearest of n_rows rows for each point; ties to the smaller number. */
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
  const uint8_t *rows;          /* [n_centroids][padded], int8 + 128 */
  const uint8_t *group_rows;    /* [n_groups][padded] */
  const uint32_t *group_starts; /* [n_groups + 1], first member of each group */
  const uint32_t *members;      /* [n_centroids], the centroids by group */
  const float *a_scales;        /* [MV_SCALES] ascending */
  const float *b_scales;        /* [MV_SCALES] ascending */
} mv_codec_spec;

/* Entries of the arrays of a spec, as the caller has them. */
typedef struct mv_codec_sizes {
  size_t rows;
  size_t group_rows;
  size_t group_starts;
  size_t members;
  size_t a_scales;
  size_t b_scales;
} mv_codec_sizes;

/* Copies the arrays of the spec. */
mv_status mv_codec_new(const mv_codec_spec *spec, const mv_codec_sizes *sizes, mv_codec **out);
void mv_codec_free(mv_codec *codec);

/* The squared distance of each point [n][width] to its centroid, in squared int8 units. */
mv_status mv_distances(const mv_codec *codec, const int8_t *points, size_t n, size_t width,
                       float *distances);

/* The scales (a, b) that a codec with unlimited tables would give each vector [n][dim]: the sample
 * to which tables of scales are fitted. */
mv_status mv_fit_scales(const mv_codec *codec, const float *vectors, size_t n, size_t dim, float *a,
                        float *b);

/* Encodes documents of lengths[i] >= 1 tokens, concatenated, n tokens in all: codes
 * [n * mv_code_bytes], records [n * mv_token_bytes]; *residual_sum is the sum of the residuals'
 * norms. */
mv_status mv_encode(const mv_codec *codec, const float *vectors, size_t n, size_t dim,
                    const uint32_t *lengths, size_t n_documents, uint8_t *codes, uint8_t *records,
                    double *residual_sum);

/* Reconstructs a document of n_tokens from its codes and record: out [n_tokens][dim]. */
mv_status mv_decode(const mv_codec *codec, const uint8_t *codes, size_t codes_size,
                    size_t code_bytes, const uint8_t *record, size_t record_size, size_t n_tokens,
                    float *out);

/* The groups of centroids near each centroid, in which vectors that are stored with it are sought
 * again after centroids were added. */
typedef struct mv_near_groups mv_near_groups;
mv_status mv_near_groups_new(const mv_codec *codec, mv_near_groups **out);
void mv_near_groups_free(mv_near_groups *near);

/* The centroids nearest to the stored vectors of documents, given by their codes, of any
 * `code_bytes`, and their records, one after the other: out [n * mv_code_bytes] for n tokens. near:
 * of the codec. */
mv_status mv_nearest_codes(const mv_codec *codec, const mv_near_groups *near, const uint8_t *codes,
                           size_t codes_size, size_t code_bytes, const uint8_t *records,
                           size_t records_size, const uint32_t *lengths, size_t n_documents,
                           uint8_t *out);

/* The greatest code of each of n documents, given by their codes one after the other. */
mv_status mv_greatest_codes(const uint8_t *codes, size_t size, size_t code_bytes,
                            const uint32_t *lengths, size_t n, uint32_t *greatest);

/* Checks that codes, `size` bytes of them, lie inside the codec's centroids. */
mv_status mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t size,
                         size_t code_bytes);

/* ---- inverted lists ---- */

enum {
  MV_LISTS_BLOCK = 16, /* centroids whose lists are stored together; on disk: frozen */
  MV_LISTS_RUN = 64,   /* documents of a list that share a width; on disk: frozen */
  MV_LISTS_SLACK = 8   /* bytes behind the last block of an extent that may be read */
};

/* A view of a segment's inverted lists: a stream of blocks (postings/lists.h), cut into extents
 * between blocks. Centroids from n_lists on have none. */
typedef struct mv_lists {
  uint32_t n_lists;              /* at least 1 */
  uint32_t n_extents;            /* at least 1 */
  const uint32_t *block_starts;  /* [blocks + 1], bytes from the stream's begin */
  const uint32_t *extent_blocks; /* [n_extents + 1], first block of each extent */
  const uint8_t *const *extents; /* [n_extents] */
  const uint8_t *checked;        /* [blocks], 1 for those that the caller has verified */
} mv_lists;

/* Checks numbers and sizes against each other: entries of block_starts and extent_blocks, bytes of
 * each extent. */
mv_status mv_lists_check(const mv_lists *lists, size_t n_block_starts, size_t n_extent_blocks,
                         const size_t *extent_sizes);

/* Of documents given by their codes (codes_size bytes), the number that have each of n_lists codes;
 * a code outside is corrupt. */
mv_status mv_lists_count(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                         const uint32_t *starts, uint32_t n_documents, uint32_t n_lists,
                         uint32_t *counts);
/* The documents that have the codes first .. last - 1: documents [room], one list behind the other.
 * counts: of all lists. */
mv_status mv_lists_collect(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                           const uint32_t *starts, uint32_t n_documents, uint32_t first,
                           uint32_t last, const uint32_t *counts, uint32_t *documents, size_t room);
/* Most bytes that the lists of these counts pack to. */
size_t mv_lists_bound(const uint32_t *counts, uint32_t n_lists);
/* Packs lists, the first of which begins a block: out has room for mv_lists_bound bytes;
 * block_sizes [blocks], *size their sum. */
mv_status mv_lists_pack(const uint32_t *counts, const uint32_t *documents, uint32_t n_lists,
                        uint8_t *out, uint32_t *block_sizes, size_t *size);

/* ---- segments ---- */

/* A view of an immutable set of documents, cut into chunks of consecutive documents. A document's
 * record, each part for all of its tokens:
 *
 *   bits 1..8   centroid codes (if inline), a-scale bytes, b-scale bytes, residual codes
 *   bits 16     float16 rows */
typedef struct mv_segment {
  const mv_codec *codec; /* NULL: float16 records, no codes */
  uint32_t dim;
  uint32_t n_documents;
  uint32_t n_chunks;
  uint32_t code_bytes;    /* of a code, by the number of centroids at the time of writing */
  uint32_t inline_codes;  /* 1: codes are in the records */
  const uint32_t *starts; /* [n_documents + 1], first token of each document */
  const uint32_t *chunk_documents; /* [n_chunks + 1], first document of each chunk */
  const uint8_t *const *codes;     /* [n_chunks], unless inline */
  const uint8_t *const *records;   /* [n_chunks] */
  const mv_lists *lists;           /* NULL: none */
  const uint8_t *checked; /* [n_documents], 0 for those whose records the caller has not verified,
                             else their marks by mv_documents_check */
} mv_segment;

/* A document of a list of segments. */
typedef struct mv_place {
  uint32_t segment;
  uint32_t document;
} mv_place;

/* Checks numbers and sizes (bytes of each chunk's codes and records) against each other. */
mv_status mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                           const size_t *records_sizes);
/* Checks that float16 rows, `size` bytes of them, have unit length and so are finite. */
mv_status mv_units_check(const uint8_t *rows, size_t size, size_t dim);
/* Checks n documents: with a codec their codes, without one their float16 rows. marks [n]: 1 or
 * more, the greater the more centroids a document needs. */
mv_status mv_documents_check(const mv_segment *segment, const uint32_t *documents, size_t n,
                             uint8_t *marks);

/* The direction of the mean of each document's centroids as a point: points [n_documents][padded].
 * Of a checked segment with a codec. */
mv_status mv_document_points(const mv_segment *segment, int8_t *points);

enum { MV_FETCH_HINT = 0, MV_FETCH_TOUCH = 1 };

/* Prefetches the mapped records of n places: MV_FETCH_HINT returns at once (madvise,
 * PrefetchVirtualMemory), MV_FETCH_TOUCH when a byte of each page has been read. Ranges that touch
 * are one read. *reads and *bytes are added to. */
mv_status mv_fetch_records(const mv_segment *segments, size_t n_segments, const mv_place *places,
                           size_t n, int how, uint64_t *reads, uint64_t *bytes);
/* The same for the blocks of lists, ascending. */
mv_status mv_fetch_lists(const mv_lists *lists, const uint32_t *blocks, size_t n, int how,
                         uint64_t *reads, uint64_t *bytes);

/* Page faults of this thread, or where the system does not count by threads of the process, that
 * waited for a read; 0 on Windows. */
uint64_t mv_major_faults(void);

/* ---- queries ---- */

typedef struct mv_query mv_query;

mv_status mv_query_new(mv_query **out);
void mv_query_free(mv_query *query);
/* Bytes of scratch memory that a query holds. */
size_t mv_query_bytes(const mv_query *query);
/* Loads m >= 1 unit token vectors [m][dim]; scratch memory of earlier queries is reused. Each codec
 * rotates the query with its own seed, so segments of several codecs can be searched together. */
mv_status mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim);
/* ---- scores ---- */

enum {
  MV_SCORE_PART = 0,   /* int8 query; of the document tokens near to the query: see mv_table_kind */
  MV_SCORE_FAST = 1,   /* int8 query */
  MV_SCORE_PRECISE = 2 /* int16 query: equal to float arithmetic to about 1e-5 per token */
};

/* What has been computed for a query since it was loaded. */
typedef struct mv_counts {
  uint64_t centroids; /* rows of tables */
  uint64_t tokens;    /* of documents, by mv_score in all modes */
} mv_counts;

mv_counts mv_query_counts(const mv_query *query);

/* MaxSim of the stored vectors of n places. */
mv_status mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
                   const mv_place *places, size_t n, int mode, float *scores);

/* Precise token scores of one document, which has n_tokens: matrix [m][n_tokens]. */
mv_status mv_explain(mv_query *query, const mv_segment *segment, uint32_t document, size_t n_tokens,
                     float *matrix);

/* ---- searches ---- */

/* How the documents of a segment are found. */
enum {
  MV_BY_LISTS = 0, /* those that its posting lists rank best are ranked by their codes */
  MV_BY_CODES = 1, /* all allowed ones are ranked by their codes */
  MV_BY_SCORES = 2 /* those that the caller gives are scored; the only way without a codec */
};

/* The stages of a search, in their order. */
typedef enum mv_stage {
  MV_STAGE_PROBE,    /* the lists of a block of the query; with GATHER once a block and codec */
  MV_STAGE_GATHER,   /* the documents that these lists rank best */
  MV_STAGE_INTERACT, /* the first of them ranked by their codes */
  MV_STAGE_INTERACT_REST, /* and the others that may be among the best */
  MV_STAGE_CODES,         /* the documents found by codes */
  MV_STAGE_SCORES,        /* the documents found by scores */
  MV_STAGE_RANK,          /* the first of the others scored */
  MV_STAGE_RANK_REST,     /* and those that may be among the best */
  MV_STAGE_REFINE,        /* the best k, by precise scores */
  MV_STAGE_END
} mv_stage;

/* What a search waits for. */
typedef enum mv_event {
  MV_EVENT_STAGE,   /* nothing: a stage is done */
  MV_EVENT_END,     /* nothing: `places` are found */
  MV_EVENT_LISTS,   /* the lists of `probes` are read next: verify their blocks */
  MV_EVENT_RECORDS, /* the records of `places` are read next: verify them */
  MV_EVENT_EARLY    /* the records of `places` may be read soon: a good time to prefetch them */
} mv_event;

typedef struct mv_plan {
  size_t k;             /* documents wanted, at least 1 */
  size_t nprobe;        /* lists per query token, at least 1 */
  size_t n_candidates;  /* documents that lists give at most, and that may be ranked by codes */
  size_t near_groups;   /* see mv_query_near_groups in search/query.h; 0: all */
  double deviations;    /* of the stop rule, see mv_rank_first in search/stages.h */
  double error;         /* bound on the difference of fast scores and precise ones */
  int scores;           /* of documents found by scores: MV_SCORE_FAST or MV_SCORE_PRECISE */
  int refines;          /* 1: the best k are found; 0: all that are scored, without REFINE */
  size_t early_ranks;   /* ranks of lists gathered before EARLY; 0: EARLY does not happen */
  uint64_t most_faults; /* from so many major page faults on verified bytes may be out of memory */
} mv_plan;

/* A list to be read for a query token, and the gain of its documents' scores. */
typedef struct mv_probe {
  uint32_t list;
  uint8_t token; /* lane of the block */
  uint8_t finds; /* 0: its gain is added to documents that others have found */
  uint16_t rank; /* 0: the token's best list */
  float gain;    /* score of the centroid less that of the token's last list, which is imputed to
                     documents in none of its lists (WARP, arXiv 2501.17788) */
} mv_probe;

/* Where a search stands. Arrays are the query's, valid until the next call for it. */
typedef struct mv_progress {
  int event;
  int stage;      /* the next one, or the one that waits */
  size_t segment; /* LISTS: of the segments found by lists, those with the codec of this one */
  const mv_probe *probes; /* LISTS, and STAGE before GATHER */
  size_t n_probes;
  const mv_place *places; /* RECORDS, EARLY, STAGE, END: documents */
  const float *scores;    /* END: of these, fast scores, or precise ones after REFINE */
  size_t n_places;
  uint64_t postings;   /* read so far */
  uint64_t candidates; /* documents that lists and codes have found, at END */
  uint64_t documents;  /* scored so far */
  uint64_t records;    /* that stages have asked for so far, in memory or not */
} mv_progress;

/* Begins a search with a loaded query; the one before is forgotten. ways[s]: how segment s takes
 * part, MV_BY_*. given: n_given distinct documents of segments found by scores. */
mv_status mv_search_begin(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *ways, const mv_place *given, size_t n_given,
                          const mv_plan *plan, mv_progress *progress);

/* Goes on until the search ends or waits for the caller, or, with one_stage, by a stage. Segments
 * and ways are those of the begin. allowed[s] is a bitmap over the documents of segment s, document
 * i in bit i % 8 of byte i / 8, or NULL for all; not looked at for segments found by scores.
 *
 * A search reads what the segments mark as checked, and says first what else it needs. Once told,
 * the caller has verified it. Verified bytes too are told of, to be prefetched again, when they may
 * be out of memory. */
mv_status mv_search_go_on(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *ways, const uint8_t *const *allowed, int one_stage,
                          mv_progress *progress);

/* ---- terms of texts ---- */

enum {
  MV_MAX_TERM = 64,        /* bytes of a term */
  MV_TOKEN_WORD = 0,       /* letters, or such words joined as in prose: well-known, dog's */
  MV_TOKEN_IDENTIFIER = 1, /* the whole of one: digits, underscores, inner capitals, C++, foo.bar */
  MV_TOKEN_PART = 2,       /* a part of the word or identifier before it */
  MV_TOKEN_BIGRAM = 3      /* two neighbours of a script without spaces, or one alone */
};

/* Where a term stands in its text; the term is its first `size` bytes, ASCII in lower case. */
typedef struct mv_token_range {
  uint32_t first, last;
  uint8_t size; /* less than last - first where the term was cut */
  uint8_t kind; /* MV_TOKEN_* */
} mv_token_range;

/* The tokens of a folded text in UTF-8, by the rules of lexical/tokenise.h: the first `room` of
 * them; *count is the number of all. */
mv_status mv_tokens(const uint8_t *text, size_t size, mv_token_range *tokens, size_t room,
                    size_t *count);

#endif
