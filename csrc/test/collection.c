#include "collection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- float16 ---- */

static uint16_t to_half(float x) {
  const unsigned sign = x < 0 ? 0x8000U : 0U;
  const double size = fabs((double)x);
  int exponent;
  const double fraction = frexp(size, &exponent); /* 0.5 .. 1 */
  if (exponent < -13) return (uint16_t)(sign | (unsigned)lrint(ldexp(size, 24)));
  const unsigned mantissa = (unsigned)lrint((fraction * 2 - 1) * 1024);
  return (uint16_t)(sign | (((unsigned)(exponent + 14) << 10) + mantissa));
}

static float from_half(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double size = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
  return (float)(half & 0x8000 ? -size : size);
}

static void put_float16(collection *out, uint32_t chunk, const float *vectors) {
  const size_t first = (size_t)out->starts[out->chunk_documents[chunk]] * out->view.dim;
  for (size_t i = 0; i < out->records_sizes[chunk] / 2; i++) {
    const uint16_t half = to_half(vectors[first + i]);
    out->records[chunk][2 * i] = (uint8_t)(half & 255);
    out->records[chunk][2 * i + 1] = (uint8_t)(half >> 8);
    out->decoded[first + i] = from_half(half);
  }
}

/* ---- codes ---- */

static void put_codec(collection *out, uint32_t chunk, const float *vectors,
                      const uint32_t *lengths) {
  const uint32_t first = out->chunk_documents[chunk], last = out->chunk_documents[chunk + 1];
  const size_t dim = out->view.dim, begin = out->starts[first];
  const uint8_t *codes = out->codes[chunk], *records = out->records[chunk];
  double residuals;
  MUST(mv_encode(out->view.codec, vectors + begin * dim, out->starts[last] - begin, dim,
                 lengths + first, last - first, out->codes[chunk], out->records[chunk],
                 &residuals) == MV_OK);
  for (uint32_t i = first; i < last; i++) {
    const size_t at = out->starts[i] - begin;
    MUST(mv_decode(out->view.codec, codes + at * out->code_bytes, lengths[i] * out->code_bytes,
                   out->code_bytes, records + at * out->token_bytes, lengths[i] * out->token_bytes,
                   lengths[i], out->decoded + out->starts[i] * dim) == MV_OK);
  }
}

/* ---- the segment ---- */

static void lay_out(collection *out, const uint32_t *lengths, uint32_t n_documents,
                    uint32_t n_chunks) {
  out->starts = room((size_t)n_documents + 1, sizeof(uint32_t));
  out->chunk_documents = room((size_t)n_chunks + 1, sizeof(uint32_t));
  out->codes = room(n_chunks, sizeof *out->codes);
  out->records = room(n_chunks, sizeof *out->records);
  out->codes_sizes = room(n_chunks, sizeof(size_t));
  out->records_sizes = room(n_chunks, sizeof(size_t));
  out->starts[0] = 0;
  for (uint32_t i = 0; i < n_documents; i++) out->starts[i + 1] = out->starts[i] + lengths[i];
  for (uint32_t c = 0; c <= n_chunks; c++) {
    out->chunk_documents[c] = n_chunks == 0 ? 0 : (uint32_t)((uint64_t)n_documents * c / n_chunks);
  }
  out->n_tokens = out->starts[n_documents];
  out->view.starts = out->starts;
  out->view.chunk_documents = out->chunk_documents;
  out->view.codes = (const uint8_t *const *)out->codes;
  out->view.records = (const uint8_t *const *)out->records;
  out->view.n_documents = n_documents;
  out->view.n_chunks = n_chunks;
}

void collection_build(collection *out, const model *used, uint32_t dim, const float *vectors,
                      const uint32_t *lengths, uint32_t n_documents, uint32_t n_chunks) {
  memset(out, 0, sizeof *out);
  lay_out(out, lengths, n_documents, n_chunks);
  out->view.codec = used != NULL ? used->codec : NULL;
  out->view.dim = dim;
  out->code_bytes = used != NULL ? mv_code_bytes(used->spec.n_centroids) : 0;
  out->view.code_bytes = (uint32_t)out->code_bytes;
  out->token_bytes = mv_token_bytes(dim, used != NULL ? used->spec.bits : 16);
  out->decoded = room(out->n_tokens * dim, sizeof(float));
  for (uint32_t c = 0; c < n_chunks; c++) {
    const size_t tokens =
        out->starts[out->chunk_documents[c + 1]] - out->starts[out->chunk_documents[c]];
    out->codes_sizes[c] = tokens * out->code_bytes;
    out->records_sizes[c] = tokens * out->token_bytes;
    out->codes[c] = room(out->codes_sizes[c], 1);
    out->records[c] = room(out->records_sizes[c], 1);
    if (used != NULL) {
      put_codec(out, c, vectors, lengths);
    } else {
      put_float16(out, c, vectors);
    }
  }
  MUST(mv_segment_check(&out->view, out->codes_sizes, out->records_sizes) == MV_OK);
}

/* A copy of n items, an empty one being a block, too. */
static void *copy_of(const void *from, size_t n, size_t size) {
  void *copy = room(n, size);
  if (n > 0) memcpy(copy, from, n * size);
  return copy;
}

/* The records of a chunk, the codes of each document before its record. */
static void put_inline(collection *out, const collection *from, uint32_t chunk) {
  const size_t begin = from->starts[from->chunk_documents[chunk]];
  uint8_t *at = out->records[chunk];
  for (uint32_t i = from->chunk_documents[chunk]; i < from->chunk_documents[chunk + 1]; i++) {
    const size_t first = from->starts[i] - begin, n = from->starts[i + 1] - from->starts[i];
    memcpy(at, from->codes[chunk] + first * from->code_bytes, n * from->code_bytes);
    at += n * from->code_bytes;
    memcpy(at, from->records[chunk] + first * from->token_bytes, n * from->token_bytes);
    at += n * from->token_bytes;
  }
}

void collection_inline(collection *out, const collection *from) {
  const uint32_t n_chunks = from->view.n_chunks;
  *out = *from;
  out->starts = copy_of(from->starts, (size_t)from->view.n_documents + 1, sizeof(uint32_t));
  out->chunk_documents = copy_of(from->chunk_documents, (size_t)n_chunks + 1, sizeof(uint32_t));
  out->decoded = copy_of(from->decoded, from->n_tokens * from->view.dim, sizeof(float));
  out->codes = room(n_chunks, sizeof *out->codes);
  out->records = room(n_chunks, sizeof *out->records);
  out->codes_sizes = room(n_chunks, sizeof(size_t));
  out->records_sizes = room(n_chunks, sizeof(size_t));
  out->token_bytes = from->token_bytes + from->code_bytes;
  for (uint32_t c = 0; c < n_chunks; c++) {
    out->codes_sizes[c] = 0;
    out->codes[c] = NULL;
    out->records_sizes[c] = from->records_sizes[c] + from->codes_sizes[c];
    out->records[c] = room(out->records_sizes[c], 1);
    put_inline(out, from, c);
  }
  out->view.inline_codes = 1;
  out->view.starts = out->starts;
  out->view.chunk_documents = out->chunk_documents;
  out->view.codes = NULL;
  out->view.records = (const uint8_t *const *)out->records;
  MUST(mv_segment_check(&out->view, out->codes_sizes, out->records_sizes) == MV_OK);
}

void collection_free(collection *from) {
  for (uint32_t c = 0; c < from->view.n_chunks; c++) {
    free(from->codes[c]);
    free(from->records[c]);
  }
  free(from->starts);
  free(from->chunk_documents);
  free(from->codes);
  free(from->records);
  free(from->codes_sizes);
  free(from->records_sizes);
  free(from->decoded);
}

uint32_t collection_code(const collection *from, uint32_t document, uint32_t token) {
  uint32_t chunk = 0;
  while (from->chunk_documents[chunk + 1] <= document) chunk++;
  const size_t at =
      from->starts[document] - from->starts[from->chunk_documents[chunk]] + (size_t)token;
  uint32_t number = 0;
  for (size_t j = 0; j < from->code_bytes; j++) {
    number |= (uint32_t)from->codes[chunk][at * from->code_bytes + j] << (8 * j);
  }
  return number;
}

/* ---- naive scores ---- */

double naive_dot(const float *x, const float *y, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; d++) sum += (double)x[d] * (double)y[d];
  return sum;
}

double naive_score(const collection *from, uint32_t document, const float *query, size_t m) {
  const size_t dim = from->view.dim;
  double score = 0;
  for (size_t i = 0; i < m; i++) {
    double best = -HUGE_VAL;
    for (uint32_t t = from->starts[document]; t < from->starts[document + 1]; t++) {
      const double dot = naive_dot(query + i * dim, from->decoded + (size_t)t * dim, dim);
      best = dot > best ? dot : best;
    }
    score += best;
  }
  return score;
}
