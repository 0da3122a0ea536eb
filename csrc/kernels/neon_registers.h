/* The operations of the lanes headers on NEON registers, of 4 lanes or 16 bytes; the dot product
 * of signed bytes, neon_dot, is left to the file that includes this one, under its target. */
#include <arm_neon.h>
#include <string.h>

enum { W = 4, BYTES = 16 };
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;
typedef uint8x16_t vb;

MV_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
MV_INLINE void vf_store(float *p, vf x) { vst1q_f32(p, x); }
MV_INLINE vf vf_set1(float x) { return vdupq_n_f32(x); }
MV_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
MV_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
MV_INLINE vf vf_of(vi a) { return vcvtq_f32_s32(a); }

/* Not vmaxq, which gives NaN where either is. */
MV_INLINE vf vf_max(vf v, vf best) { return vbslq_f32(vcgtq_f32(v, best), v, best); }

MV_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
MV_INLINE vf vf_min(vf v, vf best) { return vbslq_f32(vcltq_f32(v, best), v, best); }

MV_INLINE vf vf_swap(vf x, size_t distance) {
  return distance == 1 ? vrev64q_f32(x) : vextq_f32(x, x, 2);
}

MV_INLINE size_t vf_any_reaches(vf v, vf least) { return vmaxvq_u32(vcgeq_f32(v, least)) != 0; }

MV_INLINE vf vf_signed(vf magnitude, vf sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000U), sign, magnitude);
}

MV_INLINE vi vi_load(const int32_t *p) { return vld1q_s32(p); }
MV_INLINE void vi_store(int32_t *p, vi x) { vst1q_s32(p, x); }
MV_INLINE vi vi_set1(int32_t x) { return vdupq_n_s32(x); }
MV_INLINE vi vi_sub(vi a, vi b) { return vsubq_s32(a, b); }
MV_INLINE vi vi_trunc(vf x) { return vcvtq_s32_f32(x); }
MV_INLINE vi vi_min(vi a, vi b) { return vminq_s32(a, b); }
MV_INLINE vi vi_max(vi a, vi b) { return vmaxq_s32(a, b); }
MV_INLINE vm vi_gt(vi a, vi b) { return vcgtq_s32(a, b); }
MV_INLINE vi vi_select(vm m, vi a, vi b) { return vbslq_s32(m, a, b); }
MV_INLINE uint32_t vm_bits(vm m) {
  static const uint32_t bits[] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(m, vld1q_u32(bits)));
}
MV_INLINE vi vi_count_above(vi count, vf v, vf bound) {
  return vsubq_s32(count, vreinterpretq_s32_u32(vcgtq_f32(v, bound)));
}
MV_INLINE vf vf_pick(const float *table, vi places) {
  const float picked[] = {table[vgetq_lane_s32(places, 0)], table[vgetq_lane_s32(places, 1)],
                          table[vgetq_lane_s32(places, 2)], table[vgetq_lane_s32(places, 3)]};
  return vld1q_f32(picked);
}
MV_INLINE vi vi_load8(const uint8_t *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}
MV_INLINE vi vi_load16(const int16_t *p) { return vmovl_s16(vld1_s16(p)); }
MV_INLINE void vi_store16(int16_t *p, vi x) { vst1_s16(p, vmovn_s32(x)); }
MV_INLINE vi vi_load_bytes(const int8_t *p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }

MV_INLINE void vi_store8(uint8_t *p, vi x) {
  const int16x4_t words = vmovn_s32(x);
  const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
  memcpy(p, &four, sizeof four);
}

MV_INLINE vi vi_spread(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return vdupq_n_s32(four);
}

MV_INLINE void widen_f16(const uint8_t *in, float *out) {
  for (size_t i = 0; i < 16; i += 4) {
    const uint16x4_t bits = vreinterpret_u16_u8(vld1_u8(in + i * 2));
    vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u16(bits)));
  }
}

MV_INLINE void narrow_f16(const float *in, uint8_t *out) {
  for (size_t i = 0; i < 16; i += 4) {
    const uint16x4_t bits = vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(in + i)));
    vst1_u8(out + i * 2, vreinterpret_u8_u16(bits));
  }
}

MV_INLINE vb vb_load(const uint8_t *p, size_t count) {
  if (count == 8) return vcombine_u8(vld1_u8(p), vdup_n_u8(0));
  return vld1q_u8(p);
}

MV_INLINE void vb_store(uint8_t *p, vb x, size_t count) {
  if (count == 8) {
    vst1_u8(p, vget_low_u8(x));
  } else {
    vst1q_u8(p, x);
  }
}

MV_INLINE vb vb_set1(uint8_t x) { return vdupq_n_u8(x); }
MV_INLINE vb vb_max(vb a, vb b) { return vmaxq_u8(a, b); }
MV_INLINE vb vb_and(vb a, vb b) { return vandq_u8(a, b); }
MV_INLINE vb vb_shift_right(vb x, unsigned n) { return vshlq_u8(x, vdupq_n_s8((int8_t)-(int)n)); }
MV_INLINE vb vb_levels(const uint8_t levels[16]) { return vld1q_u8(levels); }
MV_INLINE vb vb_lookup(vb table, vb codes) { return vqtbl1q_u8(table, codes); }

MV_INLINE vi neon_dot(vi sum, int8x16_t row, int8x16_t query);

/* Both factors are signed bytes: rows of 8 bits lose 128, which DOT8_OFFSET gives back. */
#define DOT8_OFFSET 128
#define DOT_REGISTERS 4
#define DOT_ROWS 4
#define DOT_ROWS_NARROW 16

MV_INLINE vi vi_dot(vi sum, vi row, vi query, int row_bits) {
  int8x16_t bytes = vreinterpretq_s8_s32(row);
  if (row_bits == 8) bytes = veorq_s8(bytes, vdupq_n_s8(-128));
  return neon_dot(sum, bytes, vreinterpretq_s8_s32(query));
}

MV_INLINE int any_above(const int16_t *row, const int16_t *least, size_t count) {
  const uint16x8_t low = vcgtq_s16(vld1q_s16(row), vld1q_s16(least));
  if (count == 8) return vmaxvq_u16(low) != 0;
  const uint16x8_t high = vcgtq_s16(vld1q_s16(row + 8), vld1q_s16(least + 8));
  return vmaxvq_u16(vorrq_u16(low, high)) != 0;
}

typedef uint32x4_t vq;

MV_INLINE vq vq_load(const uint32_t *p) { return vld1q_u32(p); }
MV_INLINE void vq_store(uint32_t *p, vq x) { vst1q_u32(p, x); }
MV_INLINE vq vq_set1(uint32_t x) { return vdupq_n_u32(x); }
MV_INLINE vq vq_and(vq a, vq b) { return vandq_u32(a, b); }
MV_INLINE vq vq_add(vq a, vq b) { return vaddq_u32(a, b); }
MV_INLINE vq vq_load_bytes(const uint8_t *p, size_t count) {
  return vreinterpretq_u32_u8(vb_load(p, count));
}
MV_INLINE vq vq_pick(vq x, vq places) {
  return vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(x), vreinterpretq_u8_u32(places)));
}
MV_INLINE vq vq_shift_right(vq x, vq n) {
  return vshlq_u32(x, vnegq_s32(vreinterpretq_s32_u32(n)));
}
MV_INLINE vq vq_last(vq x) { return vdupq_laneq_u32(x, 3); }

MV_INLINE void vq_store_bytes(uint8_t *p, vq x) { vst1q_u8(p, vreinterpretq_u8_u32(x)); }

MV_INLINE void vq_transpose(vq rows[4]) {
  const uint32x4x2_t first = vtrnq_u32(rows[0], rows[1]), second = vtrnq_u32(rows[2], rows[3]);
  rows[0] = vcombine_u32(vget_low_u32(first.val[0]), vget_low_u32(second.val[0]));
  rows[1] = vcombine_u32(vget_low_u32(first.val[1]), vget_low_u32(second.val[1]));
  rows[2] = vcombine_u32(vget_high_u32(first.val[0]), vget_high_u32(second.val[0]));
  rows[3] = vcombine_u32(vget_high_u32(first.val[1]), vget_high_u32(second.val[1]));
}

MV_INLINE vq vq_sums(vq x) {
  const vq zero = vdupq_n_u32(0);
  x = vaddq_u32(x, vextq_u32(zero, x, 3));
  return vaddq_u32(x, vextq_u32(zero, x, 2));
}
