/* What a character means to the tokeniser, byte by byte for ASCII. */
#ifndef MV_LEXICAL_CHARACTERS_H
#define MV_LEXICAL_CHARACTERS_H

#include <stddef.h>
#include <stdint.h>

#include "character_classes.h"

/* From MV_LOWER to MV_UNDERSCORE: characters of words. */
enum { MV_SEPARATOR, MV_UNSPACED, MV_LOWER, MV_UPPER, MV_DIGIT, MV_OTHER, MV_UNDERSCORE };

/* By byte; those above ASCII are separators here. */
static inline int mv_class_ascii(uint8_t byte) {
  enum { S = MV_SEPARATOR, L = MV_LOWER, U = MV_UPPER, D = MV_DIGIT };
  static const uint8_t classes[256] = {
      S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
      S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
      D, D, D, D, D, D, D, D, D, D, S, S, S, S, S, S, S, U, U, U, U, U, U, U,
      U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, S, S, S, S, MV_UNDERSCORE,
      S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
      L, L, L};
  return classes[byte];
}

static inline int mv_is_word(int class) { return class >= MV_LOWER; }

/* Whether a byte, inside a checked character, continues it. */
static inline int mv_is_inside(uint8_t byte) { return (byte & 0xC0) == 0x80; }

static inline int mv_class_above(uint32_t code) {
  static const uint8_t classes[] = {MV_SEPARATOR, MV_OTHER, MV_UNSPACED, MV_SEPARATOR};
  if (code >= MV_CLASS_END) return MV_SEPARATOR;
  const uint8_t *block = mv_class_blocks[mv_class_index[code / MV_CLASS_BLOCK]];
  const uint32_t at = code % MV_CLASS_BLOCK;
  return classes[block[at / 4] >> at % 4 * 2 & 3];
}

/* Class of the character at p < end, and its bytes. A byte that begins no character in its shortest
 * form is a separator of one byte. Surrogates are separators by the table. */
static inline int mv_class_at(const uint8_t *p, const uint8_t *end, size_t *bytes) {
  *bytes = 1;
  if (*p < 0x80) return mv_class_ascii(*p);
  const size_t n = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;
  if (*p < 0xC2 || *p > 0xF4 || (size_t)(end - p) < n) return MV_SEPARATOR;
  uint32_t code = *p & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (!mv_is_inside(p[i])) return MV_SEPARATOR;
    code = code << 6 | (p[i] & 0x3Fu);
  }
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[n]) return MV_SEPARATOR;
  *bytes = n;
  return mv_class_above(code);
}

#endif
