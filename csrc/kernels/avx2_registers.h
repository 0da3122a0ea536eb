/* The operations of lanes.h and lanes_dot.h on registers of 8 lanes, for AVX2 with F16C; vi_dot is
 * left to the file that includes this one, under its target. */
#include <immintrin.h>
#include <string.h>

enum { W = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

MV_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
MV_INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
MV_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
MV_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
MV_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
MV_INLINE vf vf_max(vf v, vf best) { return _mm256_max_ps(v, best); }
MV_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
MV_INLINE vf vf_min(vf v, vf best) { return _mm256_min_ps(v, best); }
MV_INLINE size_t vf_any_reaches(vf v, vf least) {
  return _mm256_movemask_ps(_mm256_cmp_ps(v, least, _CMP_GE_OQ)) != 0;
}
/* The magnitude of one, the sign of the other. */
MV_INLINE vf vf_signed(vf magnitude, vf sign) {
  return _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}

MV_INLINE vf vf_of(vi a) { return _mm256_cvtepi32_ps(a); }

MV_INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
MV_INLINE vi vi_load_bytes(const int8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
MV_INLINE void vi_store(int32_t *p, vi x) { _mm256_storeu_si256((__m256i *)p, x); }
MV_INLINE vi vi_set1(int32_t x) { return _mm256_set1_epi32(x); }
MV_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
MV_INLINE vi vi_trunc(vf x) { return _mm256_cvttps_epi32(x); }
MV_INLINE vi vi_min(vi a, vi b) { return _mm256_min_epi32(a, b); }
MV_INLINE vi vi_max(vi a, vi b) { return _mm256_max_epi32(a, b); }
MV_INLINE vm vi_gt(vi a, vi b) { return _mm256_cmpgt_epi32(a, b); }
MV_INLINE vi vi_select(vm m, vi a, vi b) { return _mm256_blendv_epi8(b, a, m); }
MV_INLINE uint32_t vm_bits(vm m) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
MV_INLINE vi vi_count_above(vi count, vf v, vf bound) {
  return _mm256_sub_epi32(count, _mm256_castps_si256(_mm256_cmp_ps(v, bound, _CMP_GT_OQ)));
}

MV_INLINE vf vf_swap(vf x, size_t distance) {
  if (distance == 1) return _mm256_permute_ps(x, 0xb1);
  return distance == 2 ? _mm256_permute_ps(x, 0x4e) : _mm256_permute2f128_ps(x, x, 1);
}
MV_INLINE vf vf_pick(const float *table, vi places) {
  const vf low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), places);
  const vf high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), places);
  const vi is_high = _mm256_cmpgt_epi32(places, _mm256_set1_epi32(7));
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(is_high));
}
MV_INLINE vi vi_load8(const uint8_t *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

MV_INLINE vi vi_load16(const int16_t *p) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p));
}

MV_INLINE __m128i narrow_to_16(vi x) {
  return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}

MV_INLINE void vi_store16(int16_t *p, vi x) { _mm_storeu_si128((__m128i *)p, narrow_to_16(x)); }

MV_INLINE void vi_store8(uint8_t *p, vi x) {
  const __m128i words = narrow_to_16(_mm256_and_si256(x, _mm256_set1_epi32(255)));
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

MV_INLINE vi vi_spread(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}

MV_INLINE void widen_f16(const uint8_t *in, float *out) {
  _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)in)));
  _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)in + 1)));
}

MV_INLINE void narrow_f16(const float *in, uint8_t *out) {
  for (size_t i = 0; i < 16; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *)(out + i * 2), halves);
  }
}
