/* The table of hot loops, one column per instruction set.
 *
 * scalar.c is the definition of correct. Every other instruction set returns the same bits: integer
 * kernels are exact, and floating-point kernels perform the same IEEE operations in the same order
 * for each lane (no fused multiply-add, no reordering).
 *
 * A lane is a query token (or, in training, a point). Lanes come packed in blocks, so that one
 * register holds the same step of several lanes, and a document token is broadcast against all of
 * them: there are no horizontal sums. A block has 8 lanes, or a multiple of `lanes_step`,
 * MV_LANES_MAX at most (mv_lanes_for).
 *
 * No pointer need be aligned beyond its own type. Nothing is read or written outside the ranges
 * stated. All functions are re-entrant. */
#ifndef MV_KERNELS_KERNELS_H
#define MV_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* For the functions that kernels are made of: their loops unroll, and their arrays of registers
 * stay in registers, only where they are inlined with constant arguments. */
#if defined(_MSC_VER) && !defined(__clang__)
#define MV_INLINE static __forceinline
#else
#define MV_INLINE static inline __attribute__((always_inline))
#endif

/* Keeps products and sums apart where the build's flags do not. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

enum {
  MV_LANES_MAX = 32,
  MV_LANES_LEAST = 8,
  /* Rows are padded to this many dimensions; a multiple of it is a whole number of bytes at one bit
   * per dimension and of four-dimension steps of the integer dot product. */
  MV_DIM_STEP = 16,
  MV_LEADING = 16, /* see leading */
  MV_LEADING_RUNS = 48
};

typedef struct mv_kernels {
  const char *name;  /* as mv_isa_select takes it */
  size_t lanes_step; /* 8, or 16 where a register holds as many */

  /* Integer dot products of n rows with a block of lanes:
   *   out[t * lanes + l] = bias[l] + sum over d < dim of rows[t * stride + d] * q(d, l)
   *   q(d, l) = query[(d / 4) * lanes * 4 + l * 4 + d % 4]
   * dim: a positive multiple of MV_DIM_STEP, at most 4096.
   * query values lie in -127..127. No sum overflows int32.
   * dot7 requires rows[...] <= 127 (which lets AVX2 multiply bytes without saturation);
   * dot8 takes any byte. */
  void (*dot7)(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
               size_t lanes, const int32_t *bias, int32_t *out);
  void (*dot8)(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
               size_t lanes, const int32_t *bias, int32_t *out);
  /* See mv_begin_products. NULL where there is nothing to set up. */
  void (*begin_products)(size_t dim);
  void (*end_products)(void);

  /* Expands n packed rows, wherever they lie, of dim codes of 1, 2 or 4 bits to one byte each
   * through a table of levels (2, 4 or 16 entries used of 16; all <= 127).
   * Packed layout is planar, so that a shift and a mask give runs of consecutive dimensions: with
   * w = dim * bits / 8 bytes per row, bits [p * bits, (p + 1) * bits) of byte j hold the code of
   * dimension p * w + j, for p < 8 / bits. out is [n][dim], dense. */
  void (*unpack)(const uint8_t *const *packed, size_t n, size_t dim, unsigned bits,
                 const uint8_t levels[16], uint8_t *out);

  /* The coarse score's inner loop: best[l] = max over t < n of table[index[code(t)] * lanes + l].
   * code(t) is little-endian in code_bytes bytes (2 or 3) at codes + t * code_bytes; the caller
   * has checked that every code is inside the index, which has integers of index_bytes (2 or 4).
   * Without any code, all are 0. */
  void (*interact)(const uint8_t *codes, size_t n, size_t code_bytes, const void *index,
                   size_t index_bytes, const uint8_t *table, size_t lanes, uint8_t *best);

  /* The fine score's inner loop, after dot7 or dot8:
   *   v = a[t] * (unit[l] * (float)table[code(t) * lanes + l]) + b[t] * (float)dots[t * lanes + l]
   *   best[l] = v > best[l] ? v : best[l]
   * each product and the sum rounded to float on its own. */
  void (*maxsim)(const int32_t *dots, size_t n, size_t lanes, const float *a, const float *b,
                 const uint8_t *codes, size_t code_bytes, const int16_t *table, const float *unit,
                 float *best);

  /* The rows that may be the best of a lane once they are scored more precisely, from the dot
   * products of centroids and residuals:
   *   v = a[t] * (float)centroids[t * lanes + l] + b[t] * (float)residuals[t * lanes + l]
   * raises best[l] to the greatest v, then writes the t < n with v >= best[l] - margin for a lane l
   * to at, ascending, and returns their number. Products, sums and differences are rounded to float
   * each on its own. at has room for n; what it holds beyond the returned number is undefined. */
  size_t (*contenders)(const int32_t *centroids, const int32_t *residuals, size_t n, size_t lanes,
                       const float *a, const float *b, float margin, float *best, uint32_t *at);

  /* MaxSim of float16 rows: for each t, sum over d in ascending order of
   * (float)rows[t * dim + d] * query[d * lanes + l], each product and each sum rounded to float,
   * starting from 0; best[l] = max(best[l], sum). rows is IEEE binary16, little-endian, dense and
   * unaligned; dim is any value >= 1 (no padding). */
  void (*maxsim_f16)(const uint8_t *rows, size_t n, size_t dim, const float *query, size_t lanes,
                     float *best);

  /* Argmax bookkeeping of assignment, lane by lane, for rows first .. first + n - 1:
   * where dots[t * lanes + l] > best[l], or equals it and first + t < arg[l], replaces
   * best[l] and arg[l] by the row's value and number. */
  void (*argmax)(const int32_t *dots, size_t n, size_t lanes, uint32_t first, int32_t *best,
                 uint32_t *arg);

  /* Of dots[n][MV_LANES_MAX] the greatest of each lane, and a bound that at least MV_LEADING of
   * them reach: the rows are cut into MV_LEADING_RUNS runs, at most, of the same length, and it is
   * the MV_LEADING-th greatest among their maxima; INT32_MIN for fewer runs. */
  void (*leading)(const int32_t *dots, size_t n, int32_t *best, int32_t *bound);

  /* The lanes of each row that exceed a bound, of all MV_LANES_MAX:
   * bit l of out[t] = dots[t * MV_LANES_MAX + l] > least[l]. */
  void (*above_bits)(const int32_t *dots, size_t n, const int32_t *least, uint32_t *out);

  /* Narrows a block of dot products to int16: out[i] = round half away from zero of
   * (float)dots[t * lanes + l] * scale[l], which the caller guarantees to lie in int16; raises
   * high[l] and lowers low[l] (both int16, initialised by the caller) to the column's extremes. */
  void (*narrow16)(const int32_t *dots, size_t n, size_t lanes, const float *scale, int16_t *out,
                   int16_t *low, int16_t *high);

  /* Narrows further to bytes: out[t * lanes + l] = (uint8_t)((float)(in[...] - low[l]) * scale[l]
   * + 0.5f), product and sum each rounded to float, then truncated; guaranteed by the caller to lie
   * in 0..255. */
  void (*narrow8)(const int16_t *in, size_t n, size_t lanes, const int16_t *low, const float *scale,
                  uint8_t *out);

  /* The first row t < n of a table [n][lanes] with table[t * lanes + l] > least[l] for a lane l; n
   * when there is none. */
  size_t (*above)(const int16_t *table, size_t n, size_t lanes, const int16_t *least);

  /* Of codes as of interact those whose row is among the first n_rows >= 1 of a table, and exceeds
   * a bound: writes the t, from <= t < to, with
   *   r = index[code(t)] < n_rows and table[r * lanes + l] > least[l] for a lane l
   * to at, ascending, and returns their number. at has room for to - from; what it holds beyond the
   * returned number is undefined. */
  size_t (*codes_above)(const uint8_t *codes, size_t from, size_t to, size_t code_bytes,
                        const void *index, size_t index_bytes, size_t n_rows, const int16_t *table,
                        size_t lanes, const int16_t *least, uint32_t *at);

  /* Packs n <= lanes points as the query of dot7; lanes from n on are zero. Point l is the `padded`
   * values at points + which[l] * padded; padded is a multiple of MV_DIM_STEP. */
  void (*pack)(const int8_t *points, const uint32_t *which, size_t n, size_t padded, size_t lanes,
               int8_t *block);

  /* Binary16 values (IEEE, little-endian, unaligned) to floats, and back, to nearest even. */
  void (*from_float16)(const uint8_t *in, size_t n, float *out);
  void (*to_float16)(const float *in, size_t n, uint8_t *out);

  /* out = in, scaled to the length 1; in itself, if its length is 0 or not finite. Returns the
   * square of the length. in and out may be the same. */
  double (*normalise)(const float *in, size_t n, float *out);

  /* The Hadamard transform of n numbers, a power of two, in place and without scale. */
  void (*hadamard)(float *x, size_t n);

  /* The following are of n numbers, a multiple of MV_DIM_STEP. */

  /* values * scale, rounded half away from zero and clipped to -127..127; not a number becomes
   * -127. */
  void (*round_bytes)(const float *values, size_t n, float scale, int8_t *out);

  /* (bytes - zero) * scale. */
  void (*from_bytes)(const uint8_t *bytes, size_t n, int zero, float scale, float *out);

  /* The dot products c c, c w, w w, v c, v w, each of 16 partial sums, added up as a tree. */
  void (*products)(const float *v, const float *c, const float *w, size_t n, float out[5]);

  /* out = (v - a * c) * inverse. Returns the square of the length of v - a * c: 16 partial sums,
   * added up one after the other. out may be neither v nor c. */
  float (*residual)(const float *v, const float *c, size_t n, float a, float inverse, float *out);

  /* The code of each value, how many of the thresholds, 15 at most, it exceeds; and out, the levels
   * of these codes; out may be values. */
  void (*quantise)(const float *values, size_t n, const float *thresholds, size_t n_thresholds,
                   const float levels[16], uint8_t *codes, float *out);

  /* A run of a posting list: n <= 64 numbers from their gaps of `width` <= 32 bits, packed
   * (base/bits.h).
   *   numbers[i] = first + i + the sum of the gaps 0..i, modulo 2^32
   * Returns the number behind the last, without modulo. MV_BITS_SLACK bytes behind the gaps may be
   * read. */
  uint64_t (*ascend)(const uint8_t *gaps, size_t n, unsigned width, uint64_t first,
                     uint32_t *numbers);

  /* Bits set in n pairs of words: in the first ones, and in the second ones. */
  void (*count_bits)(const uint64_t *words, size_t n, size_t counts[2]);

  /* before[i] = bits set in the words 0..i-1, of n. Returns those of all, which fit 32 bits. */
  size_t (*count_before)(const uint64_t *words, size_t n, uint32_t *before);

  /* In place of each of n numbers, how many bits are set before bit number % 64 of word
   * number / 64, with `before` of count_before. */
  void (*ranks)(const uint64_t *words, const uint32_t *before, uint32_t *numbers, size_t n);
} mv_kernels;

/* A table of the functions of these names, as each instruction set's file defines them. */
#define MV_KERNELS_TABLE(NAME, STEP, DOT7, DOT8, BEGIN, END)                             \
  {NAME,      STEP,       DOT7,         DOT8,        BEGIN,    END,          unpack,     \
   interact,  maxsim,     contenders,   maxsim_f16,  argmax,   leading,      above_bits, \
   narrow16,  narrow8,    above,        codes_above, pack,     from_float16, to_float16, \
   normalise, hadamard,   round_bytes,  from_bytes,  products, residual,     quantise,   \
   ascend,    count_bits, count_before, ranks}

extern const mv_kernels mv_kernels_scalar;
#if defined(__x86_64__) || defined(_M_X64)
extern const mv_kernels mv_kernels_avx2;
extern const mv_kernels mv_kernels_avx512;
/* Compilers that know AVX-VNNI; without it such a processor gets the AVX2 table. */
#if defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) ? __GNUC__ >= 11 : 1
#define MV_HAS_AVXVNNI 1
extern const mv_kernels mv_kernels_avxvnni;
#endif
/* Compilers that know AMX, on the system whose way to ask for it the core knows (base/cpu.c). */
#if defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define MV_HAS_AMX 1
extern const mv_kernels mv_kernels_amx;
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const mv_kernels mv_kernels_neon;
/* Compilers that give a single function the Armv8.2 dot product, or have it for all functions;
 * without it such a processor gets the NEON table. */
#if defined(__aarch64__) &&                                                           \
    (defined(__ARM_FEATURE_DOTPROD) ||                                                \
     (defined(__clang__) ? __clang_major__ >= 17 && !defined(__apple_build_version__) \
                         : __GNUC__ >= 8))
#define MV_HAS_DOTPROD 1
extern const mv_kernels mv_kernels_dotprod;
#endif
#endif

/* The table in use: at first use the one that the environment variable MVDB_ISA names (scalar,
 * avx2, avxvnni, avx512, amx, neon, dotprod) if the processor supports it, else the best. The
 * core's only global state but for the allocation hook. */
const mv_kernels *mv_kernels_get(void);

/* Sets up what dot products of `dim` dimensions need, in this thread until mv_end_products: each
 * does it for itself otherwise. REQUIRES: nothing but the core runs between the two. */
static inline void mv_begin_products(const mv_kernels *kernels, size_t dim) {
  if (kernels->begin_products != NULL) kernels->begin_products(dim);
}
static inline void mv_end_products(const mv_kernels *kernels) {
  if (kernels->end_products != NULL) kernels->end_products();
}

/* Lanes of the smallest block for n of them, 1 <= n <= MV_LANES_MAX, by the table in use. */
static inline size_t mv_lanes_for(size_t n) {
  const size_t step = mv_kernels_get()->lanes_step;
  return n <= MV_LANES_LEAST ? MV_LANES_LEAST : (n + step - 1) / step * step;
}

#endif
