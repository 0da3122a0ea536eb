/* ascend: numbers from their packed gaps, two times four at once (included by lanes.h). Eight gaps
 * are `width` bytes; the second four begin at bit 0 or 4 of a byte. */
enum { WIDEST_PICKED = 25 /* bits: with 7 before them, in four bytes */ };

/* Where four gaps are in a register whose bit `from` is the first one's: four bytes of each, and
 * the bits before it in these. */
typedef struct gap_places {
  vq bytes, shift;
} gap_places;

MV_INLINE gap_places places_of_gaps(unsigned width, unsigned from) {
  uint32_t bytes[4], shift[4];
  for (unsigned i = 0; i < 4; i++) {
    bytes[i] = 0x03020100U + 0x01010101U * ((from + i * width) / 8);
    shift[i] = (from + i * width) % 8;
  }
  return (gap_places){vq_load(bytes), vq_load(shift)};
}

/* The sums of four gaps, each with 1 added. */
MV_INLINE vq sums_of_gaps(const uint8_t *p, size_t count, gap_places places, vq mask) {
  const vq bits = vq_shift_right(vq_pick(vq_load_bytes(p, count), places.bytes), places.shift);
  return vq_sums(vq_add(vq_and(bits, mask), vq_set1(1)));
}

static uint64_t ascend(const uint8_t *gaps, size_t n, unsigned width, uint64_t first,
                       uint32_t *numbers) {
  if (width > WIDEST_PICKED) return mv_gaps_ascend(gaps, n, width, first, numbers);
  const gap_places low = places_of_gaps(width, 0), high = places_of_gaps(width, width * 4 % 8);
  const vq mask = vq_set1(((uint32_t)1 << width) - 1);
  /* Bytes that hold four gaps, of which at most MV_BITS_SLACK are behind all gaps. */
  const size_t count = width < 16 ? 8 : 16;
  const uint32_t before = (uint32_t)first - 1;
  vq last = vq_set1(before);
  size_t i = 0;
  for (; i + 8 <= n; i += 8, gaps += width) {
    const vq a = vq_add(sums_of_gaps(gaps, count, low, mask), last);
    const vq b = vq_add(sums_of_gaps(gaps + width / 2, count, high, mask), vq_last(a));
    vq_store(numbers + i, a);
    vq_store(numbers + i + 4, b);
    last = vq_last(b);
  }
  if (i > 0) first += (uint32_t)(numbers[i - 1] - before);
  return mv_gaps_ascend(gaps, n - i, width, first, numbers + i);
}
