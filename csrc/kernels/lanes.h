/* The kernels of one instruction set, written once in terms of a few operations on its registers.
 * Included once by each file that defines those operations, under that file's target. A lane is one
 * query token (kernels.h); a register holds W lanes of 32 bits, or BYTES bytes.
 *
 *   vf, vi, vm             W lanes of float, of int32, of truth values; W is a constant
 *   vf_load, vf_store, vf_set1, vf_add, vf_sub, vf_mul
 *   vf_max(v, best)        v > best ? v : best
 *   vf_min(v, best)        v < best ? v : best
 *   vf_swap(x, distance)   lanes whose numbers differ by the bit `distance` < W, exchanged
 *   vf_pick(table, places) entries of a table of 16
 *   vf_any_reaches(v, least)       1 if a lane of v is at least its bound, else 0
 *   vf_signed(m, s)        the magnitude m with the sign of s
 *   vf_of(vi)              conversion to float, to nearest even
 *   vi_load, vi_store, vi_set1, vi_sub, vi_min, vi_max
 *   vi_trunc(vf)           conversion towards zero
 *   vi_load8               W values of uint8
 *   vi_load16              W values of int16, sign-extended
 *   vi_store16             to int16; the values fit
 *   vi_store8              the lowest byte of each
 *   vi_gt, vi_select(m, a, b)      m ? a : b
 *   vm_bits(m)             bit i: lane i is true
 *   vi_count_above(count, v, bound)        one more in the lanes of v that exceed their bound
 *   vi_load_bytes(q)       W groups of four query bytes
 *   vi_spread(row)         four row bytes, copied to every lane
 *   vi_dot(sum, row, query, row_bits)
 *                          adds to each lane the dot product of its four bytes; rows of 7 or 8 bits
 *   DOT8_OFFSET            the number that vi_dot subtracts from each byte of a row of 8 bits
 *   DOT_REGISTERS          registers of lanes that one pass over a row feeds, for 32 lanes
 *   DOT_ROWS               rows of such a pass: as many sums as hide the latency of vi_dot and stay
 *                          in registers
 *   DOT_ROWS_NARROW        rows of a pass that feeds one register; not fewer
 *   EIGHT_LANES            where W is 16: a table for blocks of 8 lanes; and
 *   dot_eight(rows, stride, n, dim, query, bias, out)      dot7 and dot8 for these
 *   widen_f16(in, out)     16 binary16 values to 16 floats
 *   narrow_f16(in, out)    and back, to nearest even
 *   vb                     BYTES bytes; BYTES is a constant, 16 or 32
 *   vb_load(p, count)      the first count bytes, 8, 16 or BYTES; nothing beyond is read
 *   vb_store(p, x, count)
 *   vb_set1, vb_and, vb_max, vb_shift_right(x, n)
 *   vb_levels(levels)      a table of 16 bytes for vb_lookup(table, codes)
 *   vq                     four uint32
 *   vq_load, vq_store, vq_set1, vq_and, vq_add
 *   vq_load_bytes(p, count)        the first count bytes, 8 or 16; nothing beyond is read
 *   vq_pick(x, places)     the bytes of x at 16 places
 *   vq_shift_right(x, n)   each by a count of its own
 *   vq_sums(x)             of the first, of the first two, three, and all
 *   vq_last(x)             copies of the last
 *   vq_store_bytes(p, x)
 *   vq_transpose(rows)     of four, in place
 *   any_above(row, least, count)   whether one of the first count int16 lanes of a row, 8 or 16,
 *                          exceeds its bound
 *
 * Loads and stores are unaligned. Products and sums are separate operations: a fused multiply-add
 * would round differently. */
#include <string.h>

#include "centroid_code.h"
#include "kernels.h"
#include "packed_gaps.h"
#include "set_bits.h"
#include "vector_loops.h"

enum { REGISTERS = MV_LANES_MAX / W };

enum { LANES_STEP = W > 8 ? W : 8 };

/* Makes a call with LANES, the number of lanes, as a constant. */
#define BY_LANES(lanes, call)                    \
  if ((lanes) == 32) {                           \
    enum { LANES = 32 };                         \
    call;                                        \
  } else if (LANES_STEP == 8 && (lanes) == 24) { \
    enum { LANES = 24 };                         \
    call;                                        \
  } else if ((lanes) == 16) {                    \
    enum { LANES = 16 };                         \
    call;                                        \
  } else {                                       \
    enum { LANES = 8 };                          \
    call;                                        \
  }

/* The same for loops over whole registers. Where these hold 16 lanes, `eight` is done in place of
 * the call for a block of 8. */
#if defined(EIGHT_LANES)
#define BY_REGISTERS(lanes, eight, call) \
  if ((lanes) == 8) {                    \
    eight;                               \
  } else if ((lanes) == 16) {            \
    enum { LANES = 16 };                 \
    call;                                \
  } else {                               \
    enum { LANES = 32 };                 \
    call;                                \
  }
#else
#define BY_REGISTERS(lanes, eight, call) BY_LANES(lanes, call)
#endif

/* Makes a call with CODE_BYTES and INDEX_BYTES as constants. */
#define BY_CODES(code_bytes, index_bytes, call)  \
  if ((code_bytes) == 2 && (index_bytes) == 2) { \
    enum { CODE_BYTES = 2, INDEX_BYTES = 2 };    \
    call;                                        \
  } else if ((code_bytes) == 2) {                \
    enum { CODE_BYTES = 2, INDEX_BYTES = 4 };    \
    call;                                        \
  } else if ((index_bytes) == 2) {               \
    enum { CODE_BYTES = 3, INDEX_BYTES = 2 };    \
    call;                                        \
  } else {                                       \
    enum { CODE_BYTES = 3, INDEX_BYTES = 4 };    \
    call;                                        \
  }

#include "lanes_above.h"
#include "lanes_above_bits.h"
#include "lanes_argmax.h"
#include "lanes_ascend.h"
#include "lanes_codes_above.h"
#include "lanes_contenders.h"
#include "lanes_dot.h"
#include "lanes_encode.h"
#include "lanes_float16.h"
#include "lanes_hadamard.h"
#include "lanes_interact.h"
#include "lanes_leading.h"
#include "lanes_maxsim.h"
#include "lanes_narrow.h"
#include "lanes_pack.h"
#include "lanes_unpack.h"
