/* What of csrc/mvdb.h Python calls; read by _core_build.py. The compiler checks it against the
 * header itself. */
#define MV_OK 0
#define MV_ERROR_MEMORY 1
#define MV_ERROR_ARGUMENT 2
#define MV_ERROR_CORRUPT 3
#define MV_MAX_DIM ...
#define MV_SCALES ...
#define MV_ROW_UNIT 0
#define MV_ROW_ZERO 1
#define MV_ROW_NOT_FINITE 2
#define MV_SCORE_FAST 0
#define MV_SCORE_PRECISE 1

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
  const float *a_scales;
  const float *b_scales;
} mv_codec_spec;

typedef struct mv_segment {
  const mv_codec *codec;
  uint32_t dim;
  uint32_t n_documents;
  uint32_t n_chunks;
  const uint32_t *starts;
  const uint32_t *chunk_documents;
  const uint8_t *const *codes;
  const uint8_t *const *records;
} mv_segment;

typedef struct mv_place {
  uint32_t segment;
  uint32_t document;
} mv_place;

size_t mv_padded_dim(size_t dim);
size_t mv_token_bytes(size_t dim, unsigned bits);
size_t mv_code_bytes(size_t n_centroids);
const char *mv_isa(void);
int mv_isa_select(const char *name);

void mv_normalise(const float *in, size_t n, size_t dim, float *out, uint8_t *state);

int mv_points(const float *vectors, size_t n, size_t dim, uint64_t seed, int8_t *points);
int mv_kmeans(const int8_t *points, size_t n, size_t dim, size_t k, unsigned iterations,
              uint64_t seed, uint8_t *rows);
int mv_nearest(const uint8_t *rows, size_t n_rows, size_t dim, const int8_t *points, size_t n,
               uint32_t *nearest);

int mv_codec_new(const mv_codec_spec *spec, mv_codec **out);
void mv_codec_free(mv_codec *codec);
int mv_assign(const mv_codec *codec, const int8_t *points, size_t n, uint32_t *codes);
int mv_fit_scales(const mv_codec *codec, const float *vectors, size_t n, float *a, float *b);
int mv_encode(const mv_codec *codec, const float *vectors, const uint32_t *lengths,
              size_t n_documents, uint8_t *codes, uint8_t *records, double *residual_sum);
int mv_decode(const mv_codec *codec, const uint8_t *codes, const uint8_t *record, size_t n_tokens,
              float *out);

int mv_segment_check(const mv_segment *segment, const size_t *codes_sizes,
                     const size_t *records_sizes);
int mv_codes_check(const mv_codec *codec, const uint8_t *codes, size_t n);

int mv_query_new(mv_query **out);
void mv_query_free(mv_query *query);
int mv_query_load(mv_query *query, const float *vectors, size_t m, size_t dim, uint64_t seed);
int mv_coarse(mv_query *query, const mv_segment *segments, size_t n_segments,
              const uint8_t *const *allowed, size_t limit, mv_place *places, float *scores,
              size_t *count);
int mv_score(mv_query *query, const mv_segment *segments, size_t n_segments,
             const mv_place *places, size_t n, int mode, float *scores);
int mv_explain(mv_query *query, const mv_segment *segment, uint32_t document, float *matrix);
