/* Fuzz target: bytes become a codec and a segment, mostly of right shape, with whatever numbers.
 * What the checks accept, everything else must bear: search, scores, explanation, decoding, and
 * encoding with such a codec. All arrays are heap blocks of exact size.
 *
 * With libFuzzer: make fuzz. Without: fuzz_main.c feeds random bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- bytes, zeros at the end ---- */

typedef struct input {
  const uint8_t *data;
  size_t left;
} input;

static uint32_t take(input *in, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (in->left == 0) break;
    value |= (uint32_t)*in->data++ << (8 * i);
    in->left--;
  }
  return value;
}

static uint32_t take_below(input *in, uint32_t bound) { return take(in, 4) % bound; }

/* The true number, or now and then any. */
static uint32_t take_near(input *in, uint32_t number) {
  return take(in, 1) == 1 ? take(in, 4) : number;
}

static float take_float(input *in) {
  const uint32_t bits = take(in, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint8_t *take_block(input *in, size_t n) {
  uint8_t *block = room(n, 1);
  const size_t given = n < in->left ? n : in->left;
  if (n == 0) return block;
  memset(block, 0, n);
  if (given > 0) memcpy(block, in->data, given);
  in->data += given;
  in->left -= given;
  return block;
}

/* ---- a codec ---- */

static float *take_scales(input *in) {
  float *scales = room(MV_SCALES, sizeof *scales);
  const int wild = take(in, 1) & 1;
  const float first = wild ? take_float(in) : (float)take(in, 1) / 256;
  const float step = fabsf(wild ? take_float(in) : (float)take(in, 1) / 65536);
  for (int i = 0; i < MV_SCALES; i++) scales[i] = first + step * (float)i;
  return scales;
}

static uint32_t *take_starts(input *in, uint32_t n, uint32_t total) {
  uint32_t *starts = room((size_t)n + 1, sizeof *starts);
  for (uint32_t i = 0; i <= n; i++) {
    starts[i] = take_near(in, (uint32_t)((uint64_t)total * i / (n > 0 ? n : 1)));
  }
  return starts;
}

/* Sizes that arrays have; the spec's numbers may say otherwise only where that is refused before
 * the arrays are read. */
static void take_codec(input *in, model *out) {
  static const uint32_t depths[] = {1, 2, 4, 8};
  memset(out, 0, sizeof *out);
  mv_codec_spec *spec = &out->spec;
  spec->dim = 1 + take(in, 1) % 70;
  spec->bits = take_near(in, depths[take(in, 1) % 4]);
  spec->seed = take(in, 1);
  spec->n_centroids = take(in, 1) == 255 ? 65537 : 1 + take(in, 1) % 40;
  const uint32_t groups = take(in, 1);
  spec->n_groups = 1 + groups % (spec->n_centroids < 50 ? spec->n_centroids : 50);
  const size_t padded = mv_padded_dim(spec->dim);
  spec->rows = out->rows = take_block(in, spec->n_centroids * padded);
  spec->group_rows = out->group_rows = take_block(in, spec->n_groups * padded);
  spec->group_starts = out->group_starts = take_starts(in, spec->n_groups, spec->n_centroids);
  spec->a_scales = out->a_scales = take_scales(in);
  spec->b_scales = out->b_scales = take_scales(in);
  if (mv_codec_new(spec, &out->codec) != MV_OK) out->codec = NULL;
}

/* ---- a segment ---- */

enum { MAX_DOCUMENTS = 12, MAX_CHUNKS = 3, MAX_TOKENS = 80 };

typedef struct segment {
  mv_segment view;
  uint32_t *starts, *chunk_documents;
  uint8_t *codes[MAX_CHUNKS], *records[MAX_CHUNKS];
  size_t codes_sizes[MAX_CHUNKS], records_sizes[MAX_CHUNKS];
} segment;

/* A chunk of as many tokens as the numbers say, if they say anything reasonable. */
static size_t chunk_tokens(const segment *seg, uint32_t c) {
  const uint32_t first = seg->chunk_documents[c], last = seg->chunk_documents[c + 1];
  if (first > seg->view.n_documents || last > seg->view.n_documents) return 1;
  const uint32_t begin = seg->starts[first], end = seg->starts[last];
  return begin < end && end - begin <= MAX_TOKENS ? end - begin : 1;
}

static uint8_t *take_codes(input *in, size_t n, uint32_t n_centroids) {
  const size_t bytes = mv_code_bytes(n_centroids);
  uint8_t *codes = room(n, bytes);
  for (size_t i = 0; i < n; i++) {
    const uint32_t code = take_near(in, take_below(in, n_centroids));
    for (size_t j = 0; j < bytes; j++) codes[i * bytes + j] = (uint8_t)(code >> (8 * j) & 255);
  }
  return codes;
}

static void take_segment(input *in, const model *used, segment *out) {
  memset(out, 0, sizeof *out);
  const mv_codec_spec *spec = &used->spec;
  const mv_codec *codec = take(in, 1) % 4 != 0 ? used->codec : NULL;
  out->view.codec = codec;
  out->view.dim = take_near(in, spec->dim);
  out->view.n_documents = take(in, 1) % (MAX_DOCUMENTS + 1);
  out->view.n_chunks = take(in, 1) % (MAX_CHUNKS + 1);
  out->starts = take_starts(in, out->view.n_documents, take(in, 1) % (MAX_TOKENS + 1));
  out->chunk_documents = take_starts(in, out->view.n_chunks, out->view.n_documents);
  for (uint32_t c = 0; c < out->view.n_chunks; c++) {
    const size_t tokens = chunk_tokens(out, c);
    const size_t token_bytes = mv_token_bytes(spec->dim, codec != NULL ? spec->bits : 16);
    out->records_sizes[c] = take_near(in, (uint32_t)(tokens * token_bytes));
    out->records[c] = take_block(in, tokens * token_bytes);
    out->codes_sizes[c] = codec == NULL ? 0 : tokens * mv_code_bytes(spec->n_centroids);
    out->codes[c] = codec == NULL ? NULL : take_codes(in, tokens, spec->n_centroids);
  }
  out->view.starts = out->starts;
  out->view.chunk_documents = out->chunk_documents;
  out->view.codes = (const uint8_t *const *)out->codes;
  out->view.records = (const uint8_t *const *)out->records;
}

static int accepted(const segment *seg) {
  if (mv_segment_check(&seg->view, seg->codes_sizes, seg->records_sizes) != MV_OK) return 0;
  for (uint32_t c = 0; seg->view.codec != NULL && c < seg->view.n_chunks; c++) {
    if (mv_codes_check(seg->view.codec, seg->codes[c], chunk_tokens(seg, c)) != MV_OK) return 0;
  }
  return 1;
}

static void segment_free(segment *used) {
  free(used->starts);
  free(used->chunk_documents);
  for (size_t c = 0; c < MAX_CHUNKS; c++) free(used->codes[c]);
  for (size_t c = 0; c < MAX_CHUNKS; c++) free(used->records[c]);
}

/* ---- use ---- */

static float *take_vectors(input *in, size_t n, size_t dim) {
  float *vectors = room(n * dim, sizeof *vectors);
  uint8_t *state = room(n, 1);
  for (size_t i = 0; i < n * dim; i++) vectors[i] = (float)take(in, 1) - (i % 2 ? 128 : 100);
  mv_normalise(vectors, n, dim, vectors, state);
  free(state);
  return vectors;
}

static void decode(const model *used, const segment *seg) {
  const size_t code_bytes = mv_code_bytes(used->spec.n_centroids);
  const size_t token_bytes = mv_token_bytes(used->spec.dim, used->spec.bits);
  for (uint32_t c = 0; c < seg->view.n_chunks; c++) {
    for (uint32_t i = seg->chunk_documents[c]; i < seg->chunk_documents[c + 1]; i++) {
      const size_t n = seg->starts[i + 1] - seg->starts[i];
      const size_t at = seg->starts[i] - seg->starts[seg->chunk_documents[c]];
      float *out = room(n * used->spec.dim, sizeof *out);
      MUST(mv_decode(used->codec, seg->codes[c] + at * code_bytes,
                     seg->records[c] + at * token_bytes, n, out) == MV_OK);
      free(out);
    }
  }
}

static void search(input *in, const segment *seg, const float *vectors, size_t m) {
  const uint32_t n = seg->view.n_documents;
  const size_t limit = take(in, 1) % (MAX_DOCUMENTS + 4);
  uint8_t *bitmap = take_block(in, (n + 7) / 8);
  const uint8_t *const allowed[] = {take(in, 1) & 1 ? bitmap : NULL};
  mv_place *places = room(n, sizeof *places);
  float *scores = room(n, sizeof *scores);
  mv_query *query;
  size_t count;
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vectors, m, seg->view.dim, 3) == MV_OK);
  MUST(mv_coarse(query, &seg->view, 1, allowed, limit, places, scores, &count) == MV_OK);
  MUST(count <= limit && count <= n);
  for (uint32_t i = 0; i < n; i++) places[i] = (mv_place){0, i};
  MUST(mv_score(query, &seg->view, 1, places, n, MV_SCORE_FAST, scores) == MV_OK);
  MUST(mv_score(query, &seg->view, 1, places, n, MV_SCORE_PRECISE, scores) == MV_OK);
  for (uint32_t i = 0; i < n; i++) {
    float *matrix = room(m * (seg->starts[i + 1] - seg->starts[i]), sizeof *matrix);
    MUST(mv_explain(query, &seg->view, i, matrix) == MV_OK);
    free(matrix);
  }
  mv_query_free(query);
  free(bitmap);
  free(places);
  free(scores);
}

/* Encodes vectors with the codec; its codes must pass the check that reading makes. */
static void encode(const model *used, const float *vectors, uint32_t n) {
  uint8_t *codes = room(n, mv_code_bytes(used->spec.n_centroids));
  uint8_t *records = room(n, mv_token_bytes(used->spec.dim, used->spec.bits));
  double sum;
  MUST(mv_encode(used->codec, vectors, &n, 1, codes, records, &sum) == MV_OK);
  MUST(mv_codes_check(used->codec, codes, n) == MV_OK);
  free(codes);
  free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = {data, size};
  const uint32_t m = 1 + take(&in, 1) % 40;
  model used;
  take_codec(&in, &used);
  if (used.codec != NULL) {
    segment seg;
    float *vectors = take_vectors(&in, m, used.spec.dim);
    take_segment(&in, &used, &seg);
    if (accepted(&seg)) {
      search(&in, &seg, vectors, m);
      if (seg.view.codec != NULL) decode(&used, &seg);
      encode(&used, vectors, m);
    }
    segment_free(&seg);
    free(vectors);
  }
  model_free(&used);
  return 0;
}
