/* A query, the tables made for it and the documents gathered for it: one thread at a time. It owns
 * its scratch memory, which keeps its largest sizes from query to query.
 *
 * Four things, each of its own type:
 *   the query       token vectors as loaded, and rotated and packed for one codec at a time
 *   mv_table        scores of one block of query tokens with a codec's centroids, full or partial
 *   mv_gathering    sums of gains per document
 *   mv_search       how far a search has come
 *
 * Query tokens become lanes of the kernels, in blocks of at most MV_LANES_MAX tokens. A long query
 * is several blocks, whose scores add up. */
#ifndef MV_SEARCH_QUERY_H
#define MV_SEARCH_QUERY_H

#include "../base/alloc.h"
#include "../codec/codec.h"
#include "../kernels/centroid_code.h"
#include "../kernels/kernels.h"
#include "../postings/lists.h"

enum {
  MV_TILE = 64, /* document tokens unpacked and scored at a time: they stay in L1 */
  MV_TABLES = 4 /* tables that a query keeps (table.c) */
};

/* Query tokens in the space of a codec. */
typedef struct mv_block {
  size_t first; /* query token */
  size_t tokens;
  size_t lanes;                   /* mv_lanes_for(tokens) */
  const int8_t *packed;           /* [padded / 4][lanes][4] */
  const float *scale;             /* [tokens]: real units per integer unit */
  int32_t row_bias[MV_LANES_MAX]; /* cancels the zero point of centroid rows */
  int32_t sums[MV_LANES_MAX];     /* of the lane's integers */
  float lengths[MV_LANES_MAX];    /* Euclidean, in integer units */
} mv_block;

/* Full: all rows are computed. Partial: the rows of the groups nearest to some query token. An
 * absent row scores below the matches that most documents have elsewhere, so that a floor, the
 * least score computed, stands for it, and the row of its group tells about how far below. */
typedef enum mv_table_kind { MV_TABLE_NONE, MV_TABLE_FULL, MV_TABLE_PARTIAL } mv_table_kind;

/* Scores of one block with the centroids of one codec: int16 for the fine score, bytes for the
 * coarse one. */
typedef struct mv_table {
  mv_table_kind kind;
  const mv_codec *codec;
  size_t index; /* of the block */
  mv_block block;
  size_t n_rows;                    /* of groups, then of centroids in the order of places */
  size_t n_group_rows;              /* full: 0 */
  int16_t *rows16;                  /* [n_rows][lanes] */
  uint8_t *rows8;                   /* [n_rows][lanes], of groups: zero */
  uint8_t *groups;                  /* [n_groups]: 1 where its rows are there, else 0 */
  void *row_of;                     /* [n_centroids], by number: a row, or that of the group */
  size_t row_of_bytes;              /* of an entry: 2 if these are enough, else 4 */
  float floor[MV_LANES_MAX];        /* least score of a token, in integer units; full: -FLT_MAX */
  float unit[MV_LANES_MAX];         /* rows16 to dot products in integer units of the lane */
  float narrow[MV_LANES_MAX];       /* dot products with rows to rows16 */
  float coarse_scale[MV_LANES_MAX]; /* rows8 units per unit of rows16 */
  float coarse_step;                /* real score per unit of rows8 */
  float coarse_offset;              /* real score of all-zero rows8 entries, summed over lanes */
} mv_table;

/* 64 documents: those that are in a list that was read, and those that are in more than one. */
typedef struct mv_seen {
  uint64_t once;
  uint64_t twice;
} mv_seen;

/* The gathered gains of a document that is found. */
typedef struct mv_gains {
  uint32_t sum;
  uint32_t tokens; /* bit l: a list of token l of this block has the document */
} mv_gains;

/* Sums of gains. The documents of the chosen segments are numbered through, document i being bit
 * i % 64 of word i / 64. Those that are found have numbers of their own, in the same order, so that
 * their gains lie close together. */
typedef struct mv_gathering {
  mv_seen *seen;    /* [n_words] */
  uint64_t *found;  /* [n_words] */
  uint32_t *before; /* [n_words]: how many are found in the words before */
  mv_gains *gains;  /* [n_found] */
  size_t n_documents;
  size_t n_words;
  size_t n_found;
  size_t wanted;          /* documents */
  const mv_probe *probes; /* of the block */
  size_t n_probes;
  size_t n_chosen; /* segments */
  mv_list *lists;  /* [n_chosen][n_probes] */
} mv_gathering;

/* A search between two calls (search.c). */
typedef struct mv_search {
  mv_plan plan;
  mv_stage stage; /* the next one */
  int is_told;    /* the caller knows what the stage reads */
  size_t n_segments;
  size_t segment;  /* the first one with the codec that is probed */
  size_t block;    /* that is probed */
  uint8_t *chosen; /* [n_segments], 1 for those of the stage */
  mv_probe *probes;
  size_t n_probes;
  size_t n_gathered;
  size_t room;      /* of places and scores */
  mv_place *places; /* [n_ranked + n_others]; the others are the last ones until they are scored */
  float *scores;    /* the same */
  size_t n_ranked;
  size_t n_rankings;                                 /* codecs whose lists have ranked them */
  size_t n_interacted;                               /* the first ones, ranked by their codes */
  size_t n_samples;                                  /* the first ones, scored in any case */
  size_t n_others;                                   /* found by scores */
  uint64_t postings, candidates, documents, records; /* as in mv_progress */
} mv_search;

/* The buffers of a table. */
enum { MV_TABLE_ROWS16, MV_TABLE_ROWS8, MV_TABLE_GROUPS, MV_TABLE_INDEX, MV_TABLE_BUFFERS };

/* The buffers of a query. */
enum {
  MV_MEMORY_PLAIN,
  MV_MEMORY_ROTATED,
  MV_MEMORY_PACKED,
  MV_MEMORY_SCALES,
  MV_MEMORY_GROUP_ROWS,
  MV_MEMORY_LISTS,
  MV_MEMORY_SEEN,
  MV_MEMORY_FOUND,
  MV_MEMORY_BEFORE,
  MV_MEMORY_GAINS,
  MV_MEMORY_LEVELS, /* uint8 [MV_TILE][padded]: rows of a tile of document tokens */
  MV_MEMORY_CHOSEN,
  MV_MEMORY_PROBES,
  MV_MEMORY_PLACES,
  MV_MEMORY_SCORES,
  MV_MEMORY_RANKING,
  MV_MEMORY_PARTS,
  MV_MEMORY_SCRATCH, /* of one call */
  MV_MEMORY_TABLES,  /* MV_TABLE_BUFFERS of each */
  MV_MEMORY_ALL = MV_MEMORY_TABLES + MV_TABLES * MV_TABLE_BUFFERS
};

struct mv_query {
  size_t m;
  size_t dim;
  size_t padded;
  float *plain; /* [m][dim], as loaded */
  /* In the space of a codec, by the rotation of its seed. */
  int is_rotated;
  uint64_t seed;
  float *rotated; /* [m][padded] */
  int8_t *packed; /* all blocks */
  float *scales;  /* [m] */
  /* Tables of codecs of at least `large` centroids are partial, unless all groups are wanted. */
  size_t large;
  size_t groups_wanted; /* per query token; 0: all */
  mv_table tables[MV_TABLES];
  mv_table *table; /* the one that was made last, or asked for again */
  mv_counts counts;
  mv_gathering gathering;
  mv_search search;
  uint8_t *levels;
  mv_buffer memory[MV_MEMORY_ALL];
};

size_t mv_query_blocks(const mv_query *query);

/* The query tokens of a block: first, tokens and lanes, and nothing else. */
void mv_query_span(const mv_query *query, size_t index, mv_block *block);

/* Brings the query into the space of a codec, unless it is there: rotated, packed and scales are of
 * the codec that was entered last. MV_ERROR_ARGUMENT for a codec of another dimension. */
mv_status mv_query_enter(mv_query *query, const mv_codec *codec);

/* A block in the space that the query is in. */
void mv_query_block(const mv_query *query, size_t index, mv_block *block);

/* Whether the segments have the query's dimension. */
int mv_query_fits(const mv_query *query, const mv_segment *segments, size_t n_segments);

/* Room for count * size bytes in one of the query's buffers; NULL when out of memory. */
void *mv_query_reserve(mv_query *query, int memory, size_t count, size_t size);

/* Sorts n scored places best first, ties by place. */
mv_status mv_query_order(mv_query *query, mv_place *places, float *scores, size_t n);

/* Whether an earlier segment has the codec of segment s. */
int mv_codec_seen(const mv_segment *segments, size_t s);

/* The greatest absolute value of n floats. */
float mv_largest(const float *x, size_t n);

/* From now on the scores of centroids that coarse and fast scores are made of, of codecs of 8,192
 * centroids or more, are those of the n groups nearest to each query token. n = 0, as of a query
 * just loaded: of all groups. */
void mv_query_near_groups(mv_query *query, size_t n);

/* Whether the tables of a codec have some groups alone. */
int mv_has_partial_tables(const mv_query *query, const mv_codec *codec);

/* Makes the query's table that of a block and a codec; those of the first blocks are kept for the
 * next time. After a failure it is of kind MV_TABLE_NONE. */
mv_status mv_table_make(mv_query *query, const mv_codec *codec, size_t index);

/* The int16 scores of n <= MV_TILE centroid rows, one after the other: out [n][lanes], as the table
 * has them. Lowers low and raises high. */
void mv_table_score(const mv_table *table, const uint8_t *rows, size_t n, int16_t *out,
                    int16_t *low, int16_t *high);

/* The row of a centroid; of one that a partial table lacks that of its group, which is below
 * n_group_rows. */
static inline size_t mv_table_row(const mv_table *table, size_t code) {
  return mv_index_read(table->row_of, code, table->row_of_bytes);
}

#endif
