/* The public API of term indexes: for each term the rows (documents in order of insertion) that
 * have it, each with a value: the occurrences of a word, or a learned weight. Conventions:
 * csrc/mvdb.h; views (mv_terms) are checked by mv_terms_check, blocks by their checksums, and all
 * functions bear any bytes in them (MV_ERROR_CORRUPT).
 *
 * Frozen, part of the file format:
 *
 *   block    n entry* body*         1..MV_TERMS_BLOCK terms, ascending by their bytes: read and
 *                                   checked together; n is a varint
 *   entry    [ends added] postings size
 *                                   the name of the term, which the first term of a block lacks (it
 *                                   is the block's head); varints: postings, bytes of the body
 *   ends     u8, [u8], [u8]         upper half: bytes that the term begins with as the term before
 *                                   does; lower half: bytes that follow; a half of 15 stands for a
 *                                   byte of its own, the upper one's first
 *   body     skip* run*             no skips where there is one run
 *   skip     last end bound bound   u32 last row of a run; u32 bytes of the runs to its end
 *   bound    value length           u8 each (csrc/lexical/term_bounds.h): every posting of the run
 *                                   has at most the value and at least the length of one of them
 *   run      form gaps [least width rests]
 *                                   MV_TERMS_RUN postings each, the last run fewer
 *   form     u8                     bits 0..5: width of the gaps, 0..32; bit 6: least, width and
 *                                   rests follow, otherwise all values are 1; bit 7: 0
 *   least    varint                 least value of the run, 1..65535
 *   width    u8                     of the rests, 0..16
 *   gaps     lows highs             numbers: row - previous - 1, the row before the first counting
 *                                   as -1
 *   rests    lows highs             numbers: value - least
 *   lows     the lower `width` bits of each number, packed (base/bits.h)
 *   highs    number >> width in unary: so many zero bits, then a one; the lowest bit of a byte
 *            first; filled up with zeros to whole bytes (Golomb-Rice codes) */
#ifndef MV_LEXICAL_TERMS_H
#define MV_LEXICAL_TERMS_H

#include "../mvdb.h"

enum {
  MV_TERMS_BLOCK = 32, /* terms of a block at most; on disk: frozen */
  MV_TERMS_RUN = 128,  /* postings of a run; on disk: frozen */
  MV_TERMS_SLACK = 8   /* bytes behind the last block of an extent that may be read */
};

/* A view of a term index: a stream of blocks, cut into extents between blocks. */
typedef struct mv_terms {
  uint32_t n_rows;
  uint32_t n_blocks;             /* 0: no row has a term */
  uint32_t n_extents;            /* 0 with no block */
  const uint16_t *lengths;       /* [n_rows] tokens of each row, at most 65535; NULL: the values are
                                    weights */
  const uint32_t *block_starts;  /* [n_blocks + 1], bytes from the stream's begin */
  const uint32_t *extent_blocks; /* [n_extents + 1], first block of each extent */
  const uint32_t *head_starts;   /* [n_blocks + 1], first byte of each block's head */
  const uint8_t *heads;          /* first term of each block */
  const uint8_t *const *extents; /* [n_extents] */
} mv_terms;

/* Entries of the arrays of a view, as the caller has them. */
typedef struct mv_terms_sizes {
  size_t lengths;
  size_t block_starts;
  size_t extent_blocks;
  size_t head_starts;
  size_t heads;
  const size_t *extents; /* bytes of each */
} mv_terms_sizes;

mv_status mv_terms_check(const mv_terms *terms, const mv_terms_sizes *sizes);

/* Terms that follow each other: term i is bytes[starts[i] .. starts[i + 1] - 1], 1..MV_MAX_TERM
 * bytes. REQUIRES: the starts ascend. */
typedef struct mv_term_names {
  const uint8_t *bytes;
  const uint32_t *starts; /* [n + 1] */
  size_t n;
} mv_term_names;

/* ---- making ---- */

/* Finished blocks of a term index; valid until the next call for the object that made them. */
typedef struct mv_term_blocks {
  const uint8_t *bytes;
  size_t size;
  const uint32_t *block_sizes; /* [n] */
  const uint8_t *heads;
  size_t heads_size;
  const uint8_t *head_sizes; /* [n] */
  size_t n;                  /* 0: all blocks were given */
} mv_term_blocks;

/* The rows of a new index in memory: texts, or weights of terms. Used by one thread. */
typedef struct mv_term_builder mv_term_builder;

/* has_lengths: 1 for texts, 0 for weights. */
mv_status mv_term_builder_new(int has_lengths, mv_term_builder **out);
void mv_term_builder_free(mv_term_builder *builder);
/* Appends n texts (folded; NULL: none) as the next rows. On failure the rows before the one that
 * failed are kept; *count is their number. */
mv_status mv_term_builder_texts(mv_term_builder *builder, const uint8_t *const *texts,
                                const size_t *sizes, size_t n, size_t *count);
/* Appends a row of weights, each above 0 and at most mv_terms_greatest_weight(); no term twice. */
mv_status mv_term_builder_weights(mv_term_builder *builder, const mv_term_names *terms,
                                  const float *weights);
/* Rows, distinct terms, and bytes that the builder holds or will need for its blocks. */
uint32_t mv_term_builder_rows(const mv_term_builder *builder);
uint32_t mv_term_builder_terms(const mv_term_builder *builder);
size_t mv_term_builder_bytes(const mv_term_builder *builder);
/* The term of a number below mv_term_builder_terms, in order of arrival; valid until more is
 * added. */
const uint8_t *mv_term_builder_term(const mv_term_builder *builder, uint32_t number, size_t *size);
/* Files the postings of the terms first .. first + names->n - 1 under other names. */
mv_status mv_term_builder_rename(mv_term_builder *builder, uint32_t first,
                                 const mv_term_names *names);
/* Tokens of each row: lengths [rows]. */
void mv_term_builder_lengths(const mv_term_builder *builder, uint16_t *lengths);
/* Makes the next blocks, `least` bytes of them or all. Nothing can be added after this. */
mv_status mv_term_builder_run(mv_term_builder *builder, size_t least, mv_term_blocks *blocks);

/* Several indexes made one. maps[i] gives for each row of index i its row in the new index, or
 * MV_NO_ROW where it has none; rows ascend in each map, and from one map to the next. */
typedef struct mv_term_merge mv_term_merge;

enum { MV_NO_ROW = -1 }; /* as uint32_t */

/* Keeps the pointers until it is freed. lengths [n_rows]: of the new index, NULL for weights. */
mv_status mv_term_merge_new(const mv_terms *const *terms, const uint32_t *const *maps, size_t n,
                            const uint16_t *lengths, uint32_t n_rows, mv_term_merge **out);
void mv_term_merge_free(mv_term_merge *merge);
/* Makes the next blocks, `least` bytes of them or all. */
mv_status mv_term_merge_step(mv_term_merge *merge, size_t least, mv_term_blocks *blocks);

/* ---- reading ---- */

/* The block in which each term would be, or n_blocks where no block can have it. */
void mv_terms_blocks(const mv_terms *terms, const mv_term_names *names, uint32_t *blocks);
/* The blocks *first .. *last - 1 that may have terms with a prefix. */
void mv_terms_range(const mv_terms *terms, const uint8_t *prefix, size_t size, uint32_t *first,
                    uint32_t *last);
/* Rows that have each term. */
mv_status mv_terms_frequencies(const mv_terms *terms, const mv_term_names *names, uint32_t *counts);
/* The terms of a block: names [MV_TERMS_BLOCK][MV_MAX_TERM], their sizes and rows. */
mv_status mv_terms_list(const mv_terms *terms, uint32_t block, uint8_t *names, uint8_t *sizes,
                        uint32_t *counts, size_t *n);
/* Checks everything in a block. */
mv_status mv_terms_check_block(const mv_terms *terms, uint32_t block);
/* The greatest weight, and the weight that stands for a weight in an index. */
float mv_terms_greatest_weight(void);
float mv_terms_stored_weight(float weight);

/* ---- searching ---- */

/* The score of a row is the sum over the query's terms that it has, of
 *
 *   words     weight * value / (value + k1 * (1 - b + b * length / average))
 *             (BM25 as in Lucene, the weight being the inverse document frequency)
 *   weights   weight * value */
typedef struct mv_term_query {
  mv_term_names terms;  /* no term twice */
  const float *weights; /* of each term, above 0 */
  float k1, b, average; /* at least 0; b at most 1; average length above 0 */
} mv_term_query;

/* The best `limit` rows of n indexes that have a term of the query, best first, ties by place.
 * allowed[i] is a bitmap over the rows of index i, or NULL for all. */
mv_status mv_terms_best(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                        const uint8_t *const *allowed, size_t limit, mv_place *places,
                        float *scores, size_t *count);
/* The scores of n_places rows, in any order; 0 for a row without the terms. */
mv_status mv_terms_score(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                         const mv_place *places, size_t n_places, float *scores);
/* Whether each row has all the terms: has [n_rows]. */
mv_status mv_terms_containing(const mv_terms *terms, const mv_term_names *names, uint8_t *has);

/* ---- phrases ---- */

/* How often each of n folded texts has the words, at least one, one behind the other, parts of
 * words aside; occurrences may overlap. */
mv_status mv_phrase_counts(const mv_term_names *words, const uint8_t *const *texts,
                           const size_t *sizes, size_t n, uint32_t *counts);

#endif
