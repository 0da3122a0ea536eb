"""Writes character_classes.h: which code points above ASCII belong to words.

    python csrc/lexical/make_character_classes.py            # write
    python csrc/lexical/make_character_classes.py --check    # fail if it would change

The classes are those of Unicode 14.0, the version of Python 3.11: the script refuses another one,
because stored terms depend on the table. A new table is a new version of the tokeniser.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from pathlib import Path

TARGET = Path(__file__).resolve().parent / "character_classes.h"
UNICODE = "14.0.0"

BLOCK = 128
"""Code points of a block; equal blocks are stored once."""
PER_BYTE = 4
SEPARATOR, LETTER, UNSPACED = 0, 1, 2

UNSPACED_NAMES = (
    "CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA",
    "KATAKANA-HIRAGANA", "COMBINING KATAKANA-HIRAGANA", "HENTAIGANA", "BOPOMOFO", "HANGUL",
    "THAI", "LAO", "KHMER", "MYANMAR",
)  # fmt: skip
"""Beginnings of the names of characters of scripts without spaces between words, and of Hangul,
whose words carry their particles."""


def class_of(code: int) -> int:
    """Letters, marks and numbers belong to words."""
    character = chr(code)
    if code < 0x80 or unicodedata.category(character)[0] not in "LMN":
        return SEPARATOR
    name = unicodedata.name(character, "")
    return UNSPACED if name.startswith(UNSPACED_NAMES) else LETTER


def written() -> str:
    """The text of the header."""
    classes = [class_of(code) for code in range(0x110000)]
    # Variation selectors and private planes behind the last letter are separators without a table.
    end = max(code for code in range(0xE0000) if classes[code]) // BLOCK + 1
    blocks: dict[bytes, int] = {}
    index = []
    for first in range(0, end * BLOCK, BLOCK):
        packed = bytes(
            sum(classes[first + at + i] << 2 * i for i in range(PER_BYTE))
            for at in range(0, BLOCK, PER_BYTE)
        )
        index.append(blocks.setdefault(packed, len(blocks)))
    assert len(blocks) <= 256
    table = [byte for block in blocks for byte in block]
    return f"""\
/* Classes of the code points above ASCII, 2 bits each: 0 separator, 1 letter, mark or number,
 * 2 the same of a script whose words are not separated by spaces. Unicode {UNICODE}.
 * Written by make_character_classes.py. */
#ifndef MV_LEXICAL_CHARACTER_CLASSES_H
#define MV_LEXICAL_CHARACTER_CLASSES_H

#include <stdint.h>

/* clang-format off */
enum {{ MV_CLASS_BLOCK = {BLOCK}, MV_CLASS_END = {end * BLOCK} }}; /* code points */

/* The block of each {BLOCK} code points. */
static const uint8_t mv_class_index[{len(index)}] = {{
{lines(index)}
}};

static const uint8_t mv_class_blocks[{len(blocks)}][{BLOCK // PER_BYTE}] = {{
{rows(table, BLOCK // PER_BYTE)}
}};
/* clang-format on */

#endif
"""


def lines(numbers: list[int]) -> str:
    """Numbers in lines of at most 100 characters."""
    result, line = [], " "
    for number in numbers:
        if len(line) + len(f" {number},") > 100:
            result.append(line)
            line = " "
        line += f" {number},"
    return "\n".join([*result, line])


def rows(numbers: list[int], width: int) -> str:
    """Rows of an array of arrays."""
    groups = (numbers[at : at + width] for at in range(0, len(numbers), width))
    return "\n".join(f"  {{{','.join(map(str, group))}}}," for group in groups)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    if unicodedata.unidata_version != UNICODE:
        print(f"needs a Python with Unicode {UNICODE}, such as 3.11", file=sys.stderr)
        return 2
    if options.check:
        return int(TARGET.read_text(encoding="utf-8") != written())
    TARGET.write_text(written(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
