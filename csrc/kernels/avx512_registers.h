/* The operations of lanes.h on registers of 16 lanes, for AVX-512 with VNNI: one instruction adds
 * four products to each lane. Included by a file under its target. */
#include <immintrin.h>
#include <string.h>

#include "avx2_bytes.h"

enum { W = 16 };
#define DOT_REGISTERS 2
#define DOT_ROWS 8
#define DOT_ROWS_NARROW 12
#define DOT8_OFFSET 0
#define EIGHT_LANES mv_kernels_avx2
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

MV_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
MV_INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
MV_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
MV_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
MV_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
MV_INLINE vf vf_max(vf v, vf best) { return _mm512_max_ps(v, best); }
MV_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
MV_INLINE vf vf_min(vf v, vf best) { return _mm512_min_ps(v, best); }
MV_INLINE size_t vf_any_reaches(vf v, vf least) {
  return _mm512_cmp_ps_mask(v, least, _CMP_GE_OQ) != 0;
}
/* The magnitude of one, the sign of the other. */
MV_INLINE vf vf_signed(vf magnitude, vf sign) {
  const vi bit = _mm512_and_si512(_mm512_castps_si512(sign), _mm512_set1_epi32(INT32_MIN));
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude), bit));
}

MV_INLINE vf vf_of(vi a) { return _mm512_cvtepi32_ps(a); }

MV_INLINE vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
MV_INLINE vi vi_load_bytes(const int8_t *p) { return _mm512_loadu_si512(p); }
MV_INLINE void vi_store(int32_t *p, vi x) { _mm512_storeu_si512(p, x); }
MV_INLINE vi vi_set1(int32_t x) { return _mm512_set1_epi32(x); }
MV_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
MV_INLINE vi vi_trunc(vf x) { return _mm512_cvttps_epi32(x); }
MV_INLINE vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
MV_INLINE vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
MV_INLINE vm vi_gt(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
MV_INLINE vi vi_select(vm m, vi a, vi b) { return _mm512_mask_mov_epi32(b, m, a); }
MV_INLINE uint32_t vm_bits(vm m) { return m; }
MV_INLINE vi vi_count_above(vi count, vf v, vf bound) {
  const vm above = _mm512_cmp_ps_mask(v, bound, _CMP_GT_OQ);
  return _mm512_mask_add_epi32(count, above, count, _mm512_set1_epi32(1));
}

MV_INLINE vf vf_swap(vf x, size_t distance) {
  if (distance == 1) return _mm512_permute_ps(x, 0xb1);
  if (distance == 2) return _mm512_permute_ps(x, 0x4e);
  return distance == 4 ? _mm512_shuffle_f32x4(x, x, 0xb1) : _mm512_shuffle_f32x4(x, x, 0x4e);
}
MV_INLINE vf vf_pick(const float *table, vi places) {
  return _mm512_permutexvar_ps(places, _mm512_loadu_ps(table));
}
MV_INLINE vi vi_load8(const uint8_t *p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

MV_INLINE vi vi_load16(const int16_t *p) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

MV_INLINE void vi_store16(int16_t *p, vi x) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(x));
}

MV_INLINE void vi_store8(uint8_t *p, vi x) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x));
}

MV_INLINE vi vi_spread(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

MV_INLINE vi vi_dot(vi sum, vi row, vi query, int row_bits) {
  (void)row_bits;
  return _mm512_dpbusd_epi32(sum, row, query);
}

/* ---- dot products with 8 lanes ---- */

/* A register takes two steps of four dimensions of each lane, side by side. */
MV_INLINE void eight_tile(const uint8_t *rows, size_t stride, size_t dim, const int8_t *query,
                          const int32_t *bias, int32_t *out, size_t rows_n) {
  const vi places = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  vi sum[DOT_ROWS];
  for (size_t r = 0; r < rows_n; r++) sum[r] = _mm512_setzero_si512();
  for (size_t d = 0; d < dim; d += 8) {
    const vi q = _mm512_permutexvar_epi32(places, vi_load_bytes(query + d * 8));
    for (size_t r = 0; r < rows_n; r++) {
      int64_t eight;
      memcpy(&eight, rows + r * stride + d, sizeof eight);
      sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_set1_epi64(eight), q);
    }
  }
  const __m256i biases = _mm256_loadu_si256((const __m256i *)bias);
  for (size_t r = 0; r < rows_n; r++) {
    const vi pairs = _mm512_add_epi32(sum[r], _mm512_srli_epi64(sum[r], 32));
    const __m256i lanes = _mm256_add_epi32(_mm512_cvtepi64_epi32(pairs), biases);
    _mm256_storeu_si256((__m256i *)(out + r * 8), lanes);
  }
}

/* The last tile begins early and computes some rows again. */
MV_INLINE void dot_eight(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                         const int8_t *query, const int32_t *bias, int32_t *out) {
  size_t t = 0;
  for (; t + DOT_ROWS <= n; t += DOT_ROWS) {
    eight_tile(rows + t * stride, stride, dim, query, bias, out + t * 8, DOT_ROWS);
  }
  if (t < n && n >= DOT_ROWS) {
    t = n - DOT_ROWS;
    eight_tile(rows + t * stride, stride, dim, query, bias, out + t * 8, DOT_ROWS);
  } else {
    for (; t < n; t++) eight_tile(rows + t * stride, stride, dim, query, bias, out + t * 8, 1);
  }
}

MV_INLINE void widen_f16(const uint8_t *in, float *out) {
  _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)in)));
}

MV_INLINE void narrow_f16(const float *in, uint8_t *out) {
  const __m256i halves = _mm512_cvtps_ph(_mm512_loadu_ps(in), _MM_FROUND_TO_NEAREST_INT);
  _mm256_storeu_si256((__m256i *)out, halves);
}

/* ---- unpack ---- */

/* 16 or 32 bytes, repeated. */
MV_INLINE __m512i repeat_row(const uint8_t *p, size_t width) {
  if (width == 16) return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
  return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)p));
}

/* Rows of 16 or 32 packed bytes that expand to whole registers: one register takes the codes of
 * 64 / width planes, side by side, each shifted by its own count. */
MV_INLINE void unpack_wide(const uint8_t *const *packed, size_t n, size_t width, unsigned bits,
                           __m512i levels, uint8_t *out) {
  const __m512i low = _mm512_set1_epi8((char)((1U << bits) - 1));
  const size_t planes = 64 / width, registers = 8 / bits / planes;
  int16_t counts[32];
  for (size_t i = 0; i < 32; i++) counts[i] = (int16_t)(i * 2 / width * bits);
  const __m512i first = _mm512_loadu_si512(counts);
  for (size_t t = 0; t < n; t++) {
    const __m512i bytes = repeat_row(packed[t], width);
    for (size_t r = 0; r < registers; r++) {
      const __m512i count =
          _mm512_add_epi16(first, _mm512_set1_epi16((int16_t)(r * planes * bits)));
      const __m512i code = _mm512_and_si512(_mm512_srlv_epi16(bytes, count), low);
      _mm512_storeu_si512(out + (t * registers + r) * 64, _mm512_shuffle_epi8(levels, code));
    }
  }
}

/* Rows of any width: one register takes one plane of up to 64 packed bytes. */
MV_INLINE void unpack_any(const uint8_t *const *packed, size_t n, size_t width, unsigned bits,
                          __m512i levels, uint8_t *out) {
  const __m512i low = _mm512_set1_epi8((char)((1U << bits) - 1));
  for (size_t t = 0; t < n; t++) {
    for (size_t j = 0; j < width; j += 64) {
      const __mmask64 mask = width - j < 64 ? ((__mmask64)1 << (width - j)) - 1 : ~(__mmask64)0;
      const __m512i bytes = _mm512_maskz_loadu_epi8(mask, packed[t] + j);
      uint8_t *to = out + t * width * 8 / bits + j;
      for (unsigned plane = 0; plane < 8 / bits; plane++) {
        /* A shift by registers: compilers disagree on the sign of the other one's count. */
        const __m512i count = _mm512_set1_epi16((int16_t)(plane * bits));
        const __m512i code = _mm512_and_si512(_mm512_srlv_epi16(bytes, count), low);
        _mm512_mask_storeu_epi8(to + plane * width, mask, _mm512_shuffle_epi8(levels, code));
      }
    }
  }
}

MV_INLINE void unpack_rows(const uint8_t *const *packed, size_t n, size_t dim, unsigned bits,
                           __m512i levels, uint8_t *out) {
  const size_t width = dim * bits / 8;
  if (dim % 64 != 0) {
    unpack_any(packed, n, width, bits, levels, out);
  } else if (width == 16) {
    unpack_wide(packed, n, 16, bits, levels, out);
  } else if (width == 32) {
    unpack_wide(packed, n, 32, bits, levels, out);
  } else {
    unpack_any(packed, n, width, bits, levels, out);
  }
}

typedef __m512i unpack_table;

MV_INLINE unpack_table unpack_levels(const uint8_t levels[16]) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)levels));
}

#define MV_OWN_UNPACK
