/* The part of csrc/mvdb.h that Python calls; read by _core_build.py. The compiler checks these
 * declarations against the header. */
#define MV_OK 0
#define MV_ERROR_MEMORY 1
#define MV_ERROR_ARGUMENT 2
#define MV_ERROR_CORRUPT 3
#define MV_MAX_DIM ...
#define MV_SCALES ...
#define MV_ROW_UNIT 0
#define MV_ROW_ZERO 1
#define MV_ROW_NOT_FINITE 2
#define MV_SCORE_FAST 1
#define MV_SCORE_PRECISE 2
#define MV_LISTS_BLOCK ...
#define MV_LISTS_SLACK ...
#define MV_BY_LISTS 0
#define MV_BY_CODES 1
#define MV_BY_SCORES 2
#define MV_EVENT_STAGE ...
#define MV_EVENT_LISTS ...
#define MV_EVENT_RECORDS ...
#define MV_EVENT_EARLY ...
#define MV_EVENT_END ...
#define MV_STAGE_PROBE ...
#define MV_STAGE_GATHER ...
#define MV_STAGE_INTERACT ...
#define MV_STAGE_INTERACT_REST ...
#define MV_STAGE_CODES ...
#define MV_STAGE_SCORES ...
#define MV_STAGE_RANK ...
#define MV_STAGE_RANK_REST ...
#define MV_STAGE_REFINE ...
#define MV_STAGE_END ...
#define MV_FETCH_HINT 0
#define MV_FETCH_TOUCH 1
#define MV_MAX_TERM ...
#define MV_TOKEN_WORD 0
#define MV_TOKEN_IDENTIFIER 1
#define MV_TOKEN_PART 2
#define MV_TOKEN_BIGRAM 3

typedef ... mv_codec;
typedef ... mv_query;

typedef struct mv_codec_spec {
  uint32_t dim;
  uint32_t bits;
  uint64_t seed;
  uint32_t n_centroids;
  uint32_t n_groups;
  const uint8_t *rows;
  const uint8_t *group_rows;
  const uint32_t *group_starts;
  const uint32_t *members;
  const float *a_scales;
  const float *b_scales;
} mv_codec_spec;

typedef struct mv_codec_sizes {
  size_t rows;
  size_t group_rows;
  size_t group_starts;
  size_t members;
  size_t a_scales;
  size_t b_scales;
} mv_codec_sizes;

typedef struct mv_lists {
  uint32_t n_lists;
  uint32_t n_extents;
  const uint32_t *block_starts;
  const uint32_t *extent_blocks;
  const uint8_t *const *extents;
  const uint8_t *checked;
} mv_lists;

typedef struct mv_segment {
  const mv_codec *codec;
  uint32_t dim;
  uint32_t n_documents;
  uint32_t n_chunks;
  uint32_t code_bytes;
  uint32_t inline_codes;
  const uint32_t *starts;
  const uint32_t *chunk_documents;
  const uint8_t *const *codes;
  const uint8_t *const *records;
  const mv_lists *lists;
  const uint8_t *checked;
} mv_segment;

typedef struct mv_probe {
  uint32_t list;
  uint8_t token;
  uint8_t finds;
  uint16_t rank;
  float gain;
} mv_probe;

typedef struct mv_place {
  uint32_t segment;
  uint32_t document;
} mv_place;

typedef struct mv_token_range {
  uint32_t first, last;
  uint8_t size;
  uint8_t kind;
} mv_token_range;

size_t mv_padded_dim(size_t dim);
size_t mv_token_bytes(size_t dim, unsigned bits);
size_t mv_code_bytes(size_t n_centroids);
const char *mv_isa(void);
int mv_isa_select(const char *name);

void mv_normalise(const void *in, size_t in_bytes, size_t n, size_t dim, void *out,
                  size_t out_bytes, uint8_t *state);

int mv_points(const float *vectors, size_t n, size_t dim, uint64_t seed, int8_t *points);
int mv_kmeans(const int8_t *points, size_t n, size_t dim, size_t k, unsigned iterations,
              uint64_t seed, uint8_t *rows);
int mv_nearest(const uint8_t *rows, size_t n_rows, size_t dim, const int8_t *points, size_t n,
               uint32_t *nearest);

int mv_codec_new(const mv_codec_spec *spec, const mv_codec_sizes *sizes, mv_codec **out);
void mv_codec_free(mv_codec *codec);
int mv_distances(const mv_codec *codec, const int8_t *points, size_t n, size_t width,
                 float *distances);
int mv_fit_scales(const mv_codec *codec, const float *vectors, size_t n, size_t dim, float *a,
                  float *b);
int mv_encode(const mv_codec *codec, const float *vectors, size_t n, size_t dim,
              const uint32_t *lengths, size_t n_documents, uint8_t *codes, uint8_t *records,
              double *residual_sum);
int mv_decode(const mv_codec *codec, const uint8_t *codes, size_t codes_size, size_t code_bytes,
              const uint8_t *record, size_t record_size, size_t n_tokens, float *out);
typedef ... mv_near_groups;
int mv_near_groups_new(const mv_codec *codec, mv_near_groups **out);
void mv_near_groups_free(mv_near_groups *near);
int mv_nearest_codes(const mv_codec *codec, const mv_near_groups *near, const uint8_t *codes,
                     size_t codes_size, size_t code_bytes, const uint8_t *records,
                     size_t records_size, const uint32_t *lengths, size_t n_documents,
                     uint8_t *out);
int mv_greatest_codes(const uint8_t *codes, size_t size, size_t code_bytes, const uint32_t *lengths,
                      size_t n, uint32_t *greatest);
int mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t size, size_t code_bytes);

int mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                     const size_t *records_sizes);
int mv_lists_check(const mv_lists *lists, size_t n_block_starts, size_t n_extent_blocks,
                   const size_t *extent_sizes);
int mv_units_check(const uint8_t *rows, size_t size, size_t dim);
int mv_documents_check(const mv_segment *segment, const uint32_t *documents, size_t n,
                       uint8_t *marks);

int mv_document_points(const mv_segment *segment, int8_t *points);

int mv_lists_count(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                   const uint32_t *starts, uint32_t n_documents, uint32_t n_lists,
                   uint32_t *counts);
int mv_lists_collect(const uint8_t *codes, size_t codes_size, size_t code_bytes,
                     const uint32_t *starts, uint32_t n_documents, uint32_t first, uint32_t last,
                     const uint32_t *counts, uint32_t *documents, size_t room);
size_t mv_lists_bound(const uint32_t *counts, uint32_t n_lists);
int mv_lists_pack(const uint32_t *counts, const uint32_t *documents, uint32_t n_lists,
                  uint8_t *out, uint32_t *block_sizes, size_t *size);

int mv_query_new(mv_query **out);
void mv_query_free(mv_query *query);
size_t mv_query_bytes(const mv_query *query);
int mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim);
int mv_fetch_records(const mv_segment *segments, size_t n_segments, const mv_place *places,
                     size_t n, int how, uint64_t *reads, uint64_t *bytes);
int mv_fetch_lists(const mv_lists *lists, const uint32_t *blocks, size_t n, int how,
                   uint64_t *reads, uint64_t *bytes);
uint64_t mv_major_faults(void);
typedef struct {
  uint64_t centroids;
  uint64_t tokens;
} mv_counts;
mv_counts mv_query_counts(const mv_query *query);
int mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
             const mv_place *places, size_t n, int mode, float *scores);
int mv_explain(mv_query *query, const mv_segment *segment, uint32_t document, size_t n_tokens,
               float *matrix);

typedef struct mv_plan {
  size_t k;
  size_t nprobe;
  size_t n_candidates;
  size_t near_groups;
  double deviations;
  double error;
  int scores;
  int refines;
  size_t early_ranks;
  uint64_t most_faults;
} mv_plan;

typedef struct mv_progress {
  int event;
  int stage;
  size_t segment;
  const mv_probe *probes;
  size_t n_probes;
  const mv_place *places;
  const float *scores;
  size_t n_places;
  uint64_t postings;
  uint64_t candidates;
  uint64_t documents;
  uint64_t records;
} mv_progress;

int mv_search_begin(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *ways, const mv_place *given, size_t n_given,
                    const mv_plan *plan, mv_progress *progress);
int mv_search_go_on(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *ways, const uint8_t *const *allowed, int one_stage,
                    mv_progress *progress);

int mv_tokens(const uint8_t *text, size_t size, mv_token_range *tokens, size_t room,
              size_t *count);
/* csrc/lexical/terms.h */
#define MV_TERMS_BLOCK ...
#define MV_TERMS_SLACK ...

typedef struct mv_terms {
  uint32_t n_rows;
  uint32_t n_blocks;
  uint32_t n_extents;
  const uint16_t *lengths;
  const uint32_t *block_starts;
  const uint32_t *extent_blocks;
  const uint32_t *head_starts;
  const uint8_t *heads;
  const uint8_t *const *extents;
} mv_terms;

typedef struct mv_terms_sizes {
  size_t lengths;
  size_t block_starts;
  size_t extent_blocks;
  size_t head_starts;
  size_t heads;
  const size_t *extents;
} mv_terms_sizes;

typedef struct mv_term_names {
  const uint8_t *bytes;
  const uint32_t *starts;
  size_t n;
} mv_term_names;

typedef struct mv_term_blocks {
  const uint8_t *bytes;
  size_t size;
  const uint32_t *block_sizes;
  const uint8_t *heads;
  size_t heads_size;
  const uint8_t *head_sizes;
  size_t n;
} mv_term_blocks;

typedef struct mv_term_query {
  mv_term_names terms;
  const float *weights;
  float k1, b, average;
} mv_term_query;

typedef ... mv_term_builder;
typedef ... mv_term_merge;

int mv_terms_check(const mv_terms *terms, const mv_terms_sizes *sizes);
int mv_term_builder_new(int has_lengths, mv_term_builder **out);
void mv_term_builder_free(mv_term_builder *builder);
int mv_term_builder_texts(mv_term_builder *builder, const uint8_t *const *texts,
                          const size_t *sizes, size_t n, size_t *count);
int mv_term_builder_weights(mv_term_builder *builder, const mv_term_names *terms,
                            const float *weights);
uint32_t mv_term_builder_rows(const mv_term_builder *builder);
uint32_t mv_term_builder_terms(const mv_term_builder *builder);
size_t mv_term_builder_bytes(const mv_term_builder *builder);
const uint8_t *mv_term_builder_term(const mv_term_builder *builder, uint32_t number,
                                    size_t *size);
int mv_term_builder_rename(mv_term_builder *builder, uint32_t first, const mv_term_names *names);
void mv_term_builder_lengths(const mv_term_builder *builder, uint16_t *lengths);
int mv_term_builder_run(mv_term_builder *builder, size_t least, mv_term_blocks *blocks);
int mv_term_merge_new(const mv_terms *const *terms, const uint32_t *const *maps, size_t n,
                      const uint16_t *lengths, uint32_t n_rows, mv_term_merge **out);
void mv_term_merge_free(mv_term_merge *merge);
int mv_term_merge_step(mv_term_merge *merge, size_t least, mv_term_blocks *blocks);
void mv_terms_blocks(const mv_terms *terms, const mv_term_names *names, uint32_t *blocks);
void mv_terms_range(const mv_terms *terms, const uint8_t *prefix, size_t size, uint32_t *first,
                    uint32_t *last);
int mv_terms_frequencies(const mv_terms *terms, const mv_term_names *names, uint32_t *counts);
int mv_terms_list(const mv_terms *terms, uint32_t block, uint8_t *names, uint8_t *sizes,
                  uint32_t *counts, size_t *n);
int mv_terms_check_block(const mv_terms *terms, uint32_t block);
float mv_terms_greatest_weight(void);
float mv_terms_stored_weight(float weight);
int mv_terms_best(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                  const uint8_t *const *allowed, size_t limit, mv_place *places, float *scores,
                  size_t *count);
int mv_terms_score(const mv_terms *const *terms, size_t n, const mv_term_query *query,
                   const mv_place *places, size_t n_places, float *scores);
int mv_terms_containing(const mv_terms *terms, const mv_term_names *names, uint8_t *has);
int mv_phrase_counts(const mv_term_names *words, const uint8_t *const *texts, const size_t *sizes,
                     size_t n, uint32_t *counts);
