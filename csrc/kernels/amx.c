/* AVX-512 with AMX, whose tiles multiply 16 rows with 16 lanes: only the dot products differ from
 * avx512.c. Tiles are configured, and released, for one product or for those between begin and end:
 * other libraries of the process may use them too. */
#include "kernels.h"

#if defined(MV_HAS_AMX)

#include <immintrin.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                               \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,f16c,amx-tile,amx-int8"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target( \
    "avx512f,avx512bw,avx512vl,avx512vnni,f16c,amx-tile,amx-int8,prefer-vector-width=512")
#endif

#include "avx512_registers.h"
#include "lanes.h"

enum {
  TILE = 16,      /* rows of a tile, and lanes */
  TILE_BYTES = 64 /* of a row of a tile, at most */
};

/* As the processor reads it. */
typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

/* Dimensions that one step multiplies: as many as divide dim, a multiple of MV_DIM_STEP. */
static size_t tile_step(size_t dim) {
  size_t step = TILE_BYTES;
  while (dim % step != 0) step -= MV_DIM_STEP;
  return step;
}

/* Tiles 0 to 3: sums of two tiles of rows with two of lanes. 4, 5: rows. 6, 7: the query. */
static tile_config config_for(size_t step) {
  tile_config config = {.palette = 1};
  for (size_t i = 0; i < 8; i++) {
    config.rows[i] = (uint8_t)(i < 6 ? TILE : step / 4);
    config.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? step : TILE_BYTES);
  }
  return config;
}

static void configure(const tile_config *config) {
  /* Some compilers do not know what the instruction reads. */
  __asm__ volatile("" : : "r"(config) : "memory");
  _tile_loadconfig(config);
}

static int is_configured(const tile_config *config) {
  tile_config now;
  _tile_storeconfig(&now);
  __asm__ volatile("" : : "r"(&now) : "memory");
  return _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(&now), _mm512_loadu_si512(config)) == 0;
}

static void begin_tiles(size_t dim) {
  const tile_config config = config_for(tile_step(dim));
  configure(&config);
}

static void end_tiles(void) { _tile_release(); }

/* A tile of rows, or two, with one of lanes, or two; `lanes` of them are in a row of out. */
MV_INLINE void multiply(const uint8_t *rows, size_t stride, size_t dim, size_t step,
                        const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out,
                        int two_of_rows, int two_of_lanes) {
  const uint8_t *more_rows = rows + TILE * stride;
  int32_t *more_out = out + TILE * lanes;
  _tile_loadd(0, bias, 0); /* the same for all rows */
  if (two_of_lanes) _tile_loadd(1, bias + TILE, 0);
  if (two_of_rows) _tile_loadd(2, bias, 0);
  if (two_of_rows && two_of_lanes) _tile_loadd(3, bias + TILE, 0);
  for (size_t d = 0; d < dim; d += step) {
    const int8_t *q = query + d * lanes;
    _tile_loadd(6, q, lanes * 4);
    if (two_of_lanes) _tile_loadd(7, q + TILE_BYTES, lanes * 4);
    _tile_loadd(4, rows + d, stride);
    _tile_dpbusd(0, 4, 6);
    if (two_of_lanes) _tile_dpbusd(1, 4, 7);
    if (two_of_rows) _tile_loadd(5, more_rows + d, stride);
    if (two_of_rows) _tile_dpbusd(2, 5, 6);
    if (two_of_rows && two_of_lanes) _tile_dpbusd(3, 5, 7);
  }
  _tile_stored(0, out, lanes * sizeof(int32_t));
  if (two_of_lanes) _tile_stored(1, out + TILE, lanes * sizeof(int32_t));
  if (two_of_rows) _tile_stored(2, more_out, lanes * sizeof(int32_t));
  if (two_of_rows && two_of_lanes) _tile_stored(3, more_out + TILE, lanes * sizeof(int32_t));
}

/* The last tile begins early and computes some rows again. */
MV_INLINE void multiply_rows(const uint8_t *rows, size_t stride, size_t n, size_t dim,
                             const int8_t *query, size_t lanes, const int32_t *bias, int32_t *out) {
  const size_t step = tile_step(dim);
  const tile_config config = config_for(step);
  const int has_begun = is_configured(&config);
  size_t t = 0;
  if (!has_begun) configure(&config);
  for (; t + 2 * TILE <= n; t += 2 * TILE) {
    multiply(rows + t * stride, stride, dim, step, query, lanes, bias, out + t * lanes, 1,
             lanes > TILE);
  }
  for (; t < n; t += TILE) {
    if (t > n - TILE) t = n - TILE;
    multiply(rows + t * stride, stride, dim, step, query, lanes, bias, out + t * lanes, 0,
             lanes > TILE);
  }
  if (!has_begun) end_tiles();
}

static void tiles(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                  size_t lanes, const int32_t *bias, int32_t *out) {
  if (lanes == TILE) {
    multiply_rows(rows, stride, n, dim, query, TILE, bias, out);
  } else {
    multiply_rows(rows, stride, n, dim, query, 2 * TILE, bias, out);
  }
}

/* Whether the rows and lanes fill a tile. */
static int suits_tiles(size_t n, size_t lanes) { return n >= TILE && lanes >= TILE; }

static void tiles7(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                   size_t lanes, const int32_t *bias, int32_t *out) {
  (suits_tiles(n, lanes) ? tiles : dot7)(rows, stride, n, dim, query, lanes, bias, out);
}

static void tiles8(const uint8_t *rows, size_t stride, size_t n, size_t dim, const int8_t *query,
                   size_t lanes, const int32_t *bias, int32_t *out) {
  (suits_tiles(n, lanes) ? tiles : dot8)(rows, stride, n, dim, query, lanes, bias, out);
}

const mv_kernels mv_kernels_amx =
    MV_KERNELS_TABLE("amx", LANES_STEP, tiles7, tiles8, begin_tiles, end_tiles);

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
