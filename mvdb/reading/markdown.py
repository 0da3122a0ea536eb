"""Markdown: headings, code, tables and paragraphs; by markdown-it-py.

The parser says which lines are which; text is taken from the source, inline markup as it is."""

from __future__ import annotations

from collections.abc import Iterator

from mvdb.reading.blocks import Block, Headings, paragraphs

_VERBATIM = frozenset({"fence", "code_block", "table_open"})


def read_markdown(text: str) -> Iterator[Block]:
    """Blocks of a Markdown document."""
    from markdown_it import MarkdownIt

    lines = text.split("\n")
    headings = Headings()
    done = 0  # lines that are in blocks
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(text)
    for place, token in enumerate(tokens):
        heading = token.type == "heading_open" and token.level == 0
        if token.map is None or not (heading or token.type in _VERBATIM):
            continue
        first, end = token.map
        yield from paragraphs(lines[done:first], done + 1, headings.trail)
        done = end
        while end > first and not lines[end - 1].strip():
            end -= 1
        if heading:
            title = tokens[place + 1].content
            headings.enter(int(token.tag[1:]), title)
            if title.strip():
                # A rule of = or - below a title is markup; # before it goes with the text.
                shown = lines[first : end - (token.markup in "=-")]
                yield Block("\n".join(shown).strip(), first + 1, end, headings.trail)
        elif end > first:
            shown = [line.rstrip() for line in lines[first:end]]
            yield Block("\n".join(shown), first + 1, end, headings.trail, verbatim=True)
    yield from paragraphs(lines[done:], done + 1, headings.trail)
