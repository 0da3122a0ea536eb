/* The operations of lanes_unpack.h and lanes_interact.h on 32 bytes, and those of lanes_ascend.h on
 * four numbers, for AVX2. */
#include <immintrin.h>

enum { BYTES = 32 };
typedef __m256i vb;

MV_INLINE vb vb_load(const uint8_t *p, size_t count) {
  if (count == BYTES) return _mm256_loadu_si256((const __m256i *)p);
  if (count == 8) return _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)p));
  return _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

MV_INLINE void vb_store(uint8_t *p, vb x, size_t count) {
  if (count == BYTES) {
    _mm256_storeu_si256((__m256i *)p, x);
  } else if (count == 8) {
    _mm_storel_epi64((__m128i *)p, _mm256_castsi256_si128(x));
  } else {
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(x));
  }
}

MV_INLINE vb vb_set1(uint8_t x) { return _mm256_set1_epi8((char)x); }
MV_INLINE vb vb_max(vb a, vb b) { return _mm256_max_epu8(a, b); }
MV_INLINE vb vb_and(vb a, vb b) { return _mm256_and_si256(a, b); }
MV_INLINE vb vb_shift_right(vb x, unsigned n) { return _mm256_srli_epi16(x, (int)n); }
MV_INLINE vb vb_lookup(vb table, vb codes) { return _mm256_shuffle_epi8(table, codes); }

MV_INLINE vb vb_levels(const uint8_t levels[16]) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels));
}

MV_INLINE int any_above(const int16_t *row, const int16_t *least, size_t count) {
  if (count == 8) {
    const __m128i half = _mm_loadu_si128((const __m128i *)row);
    const __m128i bounds = _mm_loadu_si128((const __m128i *)least);
    return _mm_movemask_epi8(_mm_cmpgt_epi16(half, bounds)) != 0;
  }
  const __m256i r = _mm256_loadu_si256((const __m256i *)row);
  const __m256i bound = _mm256_loadu_si256((const __m256i *)least);
  return _mm256_movemask_epi8(_mm256_cmpgt_epi16(r, bound)) != 0;
}

typedef __m128i vq;

MV_INLINE vq vq_load(const uint32_t *p) { return _mm_loadu_si128((const __m128i *)p); }
MV_INLINE void vq_store(uint32_t *p, vq x) { _mm_storeu_si128((__m128i *)p, x); }
MV_INLINE vq vq_set1(uint32_t x) { return _mm_set1_epi32((int)x); }
MV_INLINE vq vq_and(vq a, vq b) { return _mm_and_si128(a, b); }
MV_INLINE vq vq_add(vq a, vq b) { return _mm_add_epi32(a, b); }
MV_INLINE vq vq_pick(vq x, vq places) { return _mm_shuffle_epi8(x, places); }
MV_INLINE vq vq_shift_right(vq x, vq n) { return _mm_srlv_epi32(x, n); }
MV_INLINE vq vq_last(vq x) { return _mm_shuffle_epi32(x, 0xff); }

MV_INLINE vq vq_load_bytes(const uint8_t *p, size_t count) {
  const __m128i *at = (const __m128i *)p;
  return count == 8 ? _mm_loadl_epi64(at) : _mm_loadu_si128(at);
}

MV_INLINE void vq_store_bytes(uint8_t *p, vq x) { _mm_storeu_si128((__m128i *)p, x); }

MV_INLINE void vq_transpose(vq rows[4]) {
  const vq low = _mm_unpacklo_epi32(rows[0], rows[1]), high = _mm_unpackhi_epi32(rows[0], rows[1]);
  const vq low2 = _mm_unpacklo_epi32(rows[2], rows[3]),
           high2 = _mm_unpackhi_epi32(rows[2], rows[3]);
  rows[0] = _mm_unpacklo_epi64(low, low2);
  rows[1] = _mm_unpackhi_epi64(low, low2);
  rows[2] = _mm_unpacklo_epi64(high, high2);
  rows[3] = _mm_unpackhi_epi64(high, high2);
}

MV_INLINE vq vq_sums(vq x) {
  x = _mm_add_epi32(x, _mm_slli_si128(x, 4));
  return _mm_add_epi32(x, _mm_slli_si128(x, 8));
}
