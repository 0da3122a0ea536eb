/* Fuzz target: bytes become a codec and a segment, mostly of right shape, with whatever numbers.
 * What the checks accept, everything else must bear: search, probes, scores, explanation, points,
 * decoding, and encoding with such a codec. All arrays are heap blocks of exact size.
 *
 * With libFuzzer: make fuzz. Without: fuzz_main.c feeds random bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../kernels/kernels.h"
#include "../search/stages.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a codec ---- */

static float take_float(input *in) {
  const uint32_t bits = take(in, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

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

/* The numbers below n, from one of them on; some may be wrong. */
static uint32_t *take_members(input *in, uint32_t n) {
  const uint32_t first = take(in, 1);
  uint32_t *members = room(n, sizeof *members);
  for (uint32_t i = 0; i < n; i++) members[i] = take_near(in, (first + i) % n);
  return members;
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
  spec->members = out->members = take_members(in, spec->n_centroids);
  if (codec_of(spec, &out->codec) != MV_OK) out->codec = NULL;
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

/* Codes of two or three bytes, which may or may not be those of the codec. */
static void take_codes(input *in, size_t n, uint32_t n_centroids, size_t bytes, uint8_t *codes) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t code = take_near(in, take_below(in, n_centroids));
    for (size_t j = 0; j < bytes; j++) codes[i * bytes + j] = (uint8_t)(code >> (8 * j) & 255);
  }
}

/* Codes into the records of a chunk whose documents are where the numbers say. */
static void put_inline(input *in, const segment *seg, uint32_t c, size_t tokens, size_t token_bytes,
                       uint32_t n_centroids) {
  const size_t bytes = seg->view.code_bytes;
  size_t at = 0;
  for (uint32_t i = seg->chunk_documents[c]; i < seg->chunk_documents[c + 1]; i++) {
    if (i >= seg->view.n_documents || seg->starts[i] >= seg->starts[i + 1]) return;
    const size_t n = seg->starts[i + 1] - seg->starts[i];
    if (n > tokens - at) return;
    take_codes(in, n, n_centroids, bytes, seg->records[c] + at * token_bytes);
    at += n;
  }
}

static void take_segment(input *in, const model *used, segment *out) {
  memset(out, 0, sizeof *out);
  const mv_codec_spec *spec = &used->spec;
  const mv_codec *codec = take(in, 1) % 4 != 0 ? used->codec : NULL;
  out->view.codec = codec;
  out->view.dim = take_near(in, spec->dim);
  out->view.code_bytes = 2 + (take(in, 1) & 1);
  out->view.inline_codes = codec != NULL ? take(in, 1) & 1 : 0;
  out->view.n_documents = take(in, 1) % (MAX_DOCUMENTS + 1);
  out->view.n_chunks = take(in, 1) % (MAX_CHUNKS + 1);
  out->starts = take_starts(in, out->view.n_documents, take(in, 1) % (MAX_TOKENS + 1));
  out->chunk_documents = take_starts(in, out->view.n_chunks, out->view.n_documents);
  for (uint32_t c = 0; c < out->view.n_chunks; c++) {
    const size_t tokens = chunk_tokens(out, c);
    const size_t code_bytes = codec != NULL ? out->view.code_bytes : 0;
    const size_t token_bytes = mv_token_bytes(spec->dim, codec != NULL ? spec->bits : 16) +
                               (out->view.inline_codes ? code_bytes : 0);
    out->records_sizes[c] = take_near(in, (uint32_t)(tokens * token_bytes));
    out->records[c] = take_block(in, tokens * token_bytes);
    if (codec == NULL) continue;
    if (out->view.inline_codes) {
      put_inline(in, out, c, tokens, token_bytes, spec->n_centroids);
    } else {
      out->codes_sizes[c] = tokens * code_bytes;
      out->codes[c] = room(tokens, code_bytes);
      take_codes(in, tokens, spec->n_centroids, code_bytes, out->codes[c]);
    }
  }
  out->view.starts = out->starts;
  out->view.chunk_documents = out->chunk_documents;
  out->view.codes = (const uint8_t *const *)out->codes;
  out->view.records = (const uint8_t *const *)out->records;
}

static int accepted(const segment *seg) {
  const mv_segment *view = &seg->view;
  if (mv_segment_check(view, seg->codes_sizes, seg->records_sizes) != MV_OK) return 0;
  for (uint32_t i = 0; (view->inline_codes || view->codec == NULL) && i < view->n_documents; i++) {
    uint8_t mark;
    if (mv_documents_check(view, &i, 1, &mark) != MV_OK) return 0;
  }
  if (view->codec == NULL || view->inline_codes) return 1;
  for (uint32_t c = 0; c < view->n_chunks; c++) {
    const size_t n = chunk_tokens(seg, c);
    if (mv_codes_check(view->codec, seg->codes[c], n * view->code_bytes, view->code_bytes) != MV_OK)
      return 0;
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
  mv_normalise(vectors, 4, n, dim, vectors, 4, state);
  free(state);
  return vectors;
}

static void decode(const model *used, const segment *seg) {
  const size_t code_bytes = seg->view.code_bytes;
  const size_t inside = seg->view.inline_codes ? code_bytes : 0;
  const size_t token_bytes = mv_token_bytes(used->spec.dim, used->spec.bits);
  for (uint32_t c = 0; c < seg->view.n_chunks; c++) {
    for (uint32_t i = seg->chunk_documents[c]; i < seg->chunk_documents[c + 1]; i++) {
      const size_t n = seg->starts[i + 1] - seg->starts[i];
      const size_t at = seg->starts[i] - seg->starts[seg->chunk_documents[c]];
      float *out = room(n * used->spec.dim, sizeof *out);
      const uint8_t *record = seg->records[c] + at * (token_bytes + inside);
      const uint8_t *codes = inside > 0 ? record : seg->codes[c] + at * code_bytes;
      MUST(mv_decode(used->codec, codes, n * code_bytes, code_bytes, record + n * inside,
                     n * token_bytes, n, out) == MV_OK);
      free(out);
    }
  }
}

/* Points of all documents, probes, and the interaction of all documents, with tables of few groups
 * perhaps. */
static void use_codec(input *in, const segment *seg, mv_query *query, size_t m, mv_place *places,
                      float *scores) {
  const mv_codec *codec = seg->view.codec;
  const uint32_t n = seg->view.n_documents;
  const size_t nprobe = 1 + take(in, 1) % 40;
  int8_t *points = room(n, mv_padded_dim(seg->view.dim));
  mv_probe *probes = room(MV_LANES_MAX * nprobe, sizeof *probes);
  MUST(mv_document_points(&seg->view, points) == MV_OK);
  for (size_t block = 0; block * MV_LANES_MAX < m; block++) {
    size_t count;
    float base;
    const mv_status status = mv_probe_lists(query, codec, block, nprobe, probes, &count, &base);
    MUST(status == MV_OK || status == MV_ERROR_ARGUMENT);
    MUST(status != MV_OK || count <= MV_LANES_MAX * nprobe);
  }
  for (uint32_t i = 0; i < n; i++) places[i] = (mv_place){0, i};
  MUST(mv_interact(query, &seg->view, 1, places, n, scores) == MV_OK);
  free(points);
  free(probes);
}

/* A whole search, by codes or by scores. */
static void whole_search(input *in, const segment *seg, mv_query *query,
                         const uint8_t *const *allowed) {
  const uint8_t ways[] = {seg->view.codec != NULL && take(in, 1) & 1 ? MV_BY_CODES : MV_BY_SCORES};
  const mv_plan plan = {.k = 1 + take(in, 1) % 9,
                        .nprobe = 1,
                        .n_candidates = take(in, 1) % (MAX_DOCUMENTS + 4),
                        .near_groups = take(in, 1) % 4,
                        .deviations = (double)(take(in, 1) % 5),
                        .error = (double)(take(in, 1) % 5) / 8,
                        .scores = take(in, 1) & 1 ? MV_SCORE_FAST : MV_SCORE_PRECISE,
                        .refines = take(in, 1) & 1};
  uint8_t *checked = room(seg->view.n_documents, 1);
  mv_place *given = room(seg->view.n_documents, sizeof *given);
  mv_segment view = seg->view;
  mv_progress now;
  memset(checked, 1, view.n_documents);
  view.checked = checked;
  for (uint32_t i = 0; i < view.n_documents; i++) given[i] = (mv_place){0, i};
  const size_t n_given = ways[0] == MV_BY_SCORES ? view.n_documents : 0;
  MUST(mv_search_begin(query, &view, 1, ways, given, n_given, &plan, &now) == MV_OK);
  do {
    MUST(mv_search_go_on(query, &view, 1, ways, allowed, 1, &now) == MV_OK);
    MUST(now.event == MV_EVENT_STAGE || now.event == MV_EVENT_RECORDS || now.event == MV_EVENT_END);
    MUST(now.n_places <= view.n_documents);
  } while (now.event != MV_EVENT_END);
  free(checked);
  free(given);
}

static void search(input *in, const segment *seg, const float *vectors, size_t m) {
  const uint32_t n = seg->view.n_documents;
  const size_t limit = take(in, 1) % (MAX_DOCUMENTS + 4);
  uint8_t *bitmap = take_block(in, (n + 7) / 8);
  const uint8_t *const allowed[] = {take(in, 1) & 1 ? bitmap : NULL};
  const uint8_t chosen[] = {take(in, 1) != 1};
  mv_place *places = room(n, sizeof *places);
  float *scores = room(n, sizeof *scores);
  mv_query *query;
  size_t count;
  MUST(mv_query_new(&query) == MV_OK);
  MUST(mv_query_load(query, vectors, m, seg->view.dim) == MV_OK);
  MUST(mv_coarse(query, &seg->view, 1, chosen, allowed, limit, places, scores, &count) == MV_OK);
  MUST(count <= limit && count <= n);
  if (seg->view.codec != NULL) use_codec(in, seg, query, m, places, scores);
  for (uint32_t i = 0; i < n; i++) places[i] = (mv_place){0, i};
  MUST(mv_score(query, &seg->view, 1, places, n, MV_SCORE_PART, scores) == MV_OK);
  MUST(mv_score(query, &seg->view, 1, places, n, MV_SCORE_FAST, scores) == MV_OK);
  MUST(mv_score(query, &seg->view, 1, places, n, MV_SCORE_PRECISE, scores) == MV_OK);
  for (uint32_t i = 0; i < n; i++) {
    float *matrix = room(m * (seg->starts[i + 1] - seg->starts[i]), sizeof *matrix);
    MUST(mv_explain(query, &seg->view, i, seg->starts[i + 1] - seg->starts[i], matrix) == MV_OK);
    free(matrix);
  }
  whole_search(in, seg, query, allowed);
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
  MUST(mv_encode(used->codec, vectors, n, used->spec.dim, &n, 1, codes, records, &sum) == MV_OK);
  const size_t code_bytes = mv_code_bytes(used->spec.n_centroids);
  MUST(mv_codes_check(used->codec, codes, n * code_bytes, code_bytes) == MV_OK);
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
