"""Turns what `tmux capture-pane -e -p` prints into a picture: reads it, and writes SVG with the title given.

Every character has its own place, so that the columns line up whatever fonts the reader has, also those of wide characters. Some
programs place only the first character of a piece of text, so a wide character is a piece of its own. Lines and blocks are drawn:
those of a font leave gaps.
"""

import itertools
import re
import sys
import unicodedata
from html import escape

COLUMN, ROW, FONT = 8.4, 18, 14
MARGIN, BAR = 14, 34
BACKGROUND, FOREGROUND = "#1e1f26", "#d8dae0"
COLOURS = ["#5c6370", "#e06c75", "#98c379", "#d19a66", "#61afef", "#c678dd", "#56b6c2", "#d8dae0"] * 2

# The width of a line, in columns and in rows.
THIN, LOW = 0.12, 0.06
LEFT, RIGHT = (0, 0.5, 0.5, 0.5 + LOW), (0.5, 0.5, 1, 0.5 + LOW)
UP, DOWN = (0.5, 0, 0.5 + THIN, 0.5), (0.5, 0.5, 0.5 + THIN, 1)
# How far a block extends into the next one, in pixels, so that no line shows between them.
OVERLAP = 0.4
# The rectangles of a character, as left, top, right and bottom in its place.
SHAPES = {
    "─": [(0, 0.5, 1, 0.5 + LOW)],
    "│": [(0.5, 0, 0.5 + THIN, 1)],
    "┌": [RIGHT, DOWN],
    "┐": [LEFT, DOWN],
    "└": [RIGHT, UP],
    "┘": [LEFT, UP],
    **{chr(0x2580 + eighths): [(0, 1 - eighths / 8, 1, 1)] for eighths in range(1, 9)},
}


def columns(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def styled(style, codes):
    """Returns the style after the numbers of an escape sequence."""
    style = dict(style)
    codes = [int(code or 0) for code in re.split("[;:]", codes)]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 7):
            style[{1: "bold", 2: "dim", 7: "reverse"}[code]] = True
        elif code == 22:
            style.pop("bold", None), style.pop("dim", None)
        elif code == 27:
            style.pop("reverse", None)
        elif code == 39:
            style.pop("colour", None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["colour"] = COLOURS[code % 10]
        elif code == 38 and codes[:1] == [5]:
            style["colour"] = COLOURS[codes[1] % 16]
            del codes[:2]
    return style


def runs(line, style):
    """Yields pieces of one style with their columns, and at last the style at the end."""
    column, pieces = 0, []
    for escaped, text in re.findall("\x1b\\[([0-9;:]*)m|([^\x1b]+)", line):
        if not text:
            style = styled(style, escaped)
            continue
        places = []
        for character in text:
            places.append(column)
            column += columns(character)
        pieces.append((text, places, column, style))
    return pieces, style


def drawn(text, places, end, style, y):
    colour, back = style.get("colour", FOREGROUND), None
    if style.get("reverse"):
        colour, back = BACKGROUND, colour
    out = ""
    if back:
        x, width = MARGIN + places[0] * COLUMN, (end - places[0]) * COLUMN
        out += f'<rect x="{x:.1f}" y="{y - ROW + 5}" width="{width:.1f}" height="{ROW}" fill="{back}"/>'
    dim = ' opacity="0.55"' if style.get("dim") else ""
    words = []
    characters = zip(text, places)
    for kind, group in itertools.groupby(characters, lambda pair: pair[0] if pair[0] in SHAPES else None):
        group = list(group)
        if kind:
            out += shapes(kind, group, y, f'fill="{colour}"{dim}')
        else:
            words += pieces(group)
    if words:
        weight = ' font-weight="bold"' if style.get("bold") else ""
        spans = "".join(f'<tspan x="{at}">{escape(word)}</tspan>' for word, at in words)
        out += f'<text y="{y}" fill="{colour}"{weight}{dim}>{spans}</text>'
    return out


def pieces(characters):
    """Returns the words of characters with their places, and each wide character."""
    words, end = [], None
    for character, place in characters:
        if character == " ":
            continue
        if columns(character) == 0 and words:
            words[-1][0] += character
            continue
        x = f"{MARGIN + place * COLUMN:.1f}"
        if columns(character) == 1 and place == end:
            words[-1][0] += character
            words[-1][1] += " " + x
        else:
            words.append([character, x])
        end = place + 1 if columns(character) == 1 else None
    return words


def shapes(character, group, y, fill):
    """Draws a row of the same character."""
    out = ""
    top = y - ROW + 5
    for left, above, right, below in SHAPES[character]:
        is_whole = (left, right) == (0, 1)
        for place, count in [(group[0][1], len(group))] if is_whole else [(place, 1) for _, place in group]:
            x, width = MARGIN + (place + left) * COLUMN, (count - 1 + right - left) * COLUMN + OVERLAP * is_whole
            height = (below - above) * ROW
            out += f'<rect x="{x:.1f}" y="{top + above * ROW:.1f}" width="{width:.1f}" height="{height:.1f}" {fill}/>'
    return out


def picture(lines, title, wide):
    width = round(wide * COLUMN + 2 * MARGIN)
    height = BAR + len(lines) * ROW + MARGIN
    font = "ui-monospace, 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, 'Noto Sans Mono CJK SC', monospace"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{font}" font-size="{FONT}" role="img">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>'
    for number, colour in enumerate(("#e06c75", "#d19a66", "#98c379")):
        yield f'<circle cx="{MARGIN + 6 + 18 * number}" cy="17" r="5" fill="{colour}"/>'
    yield f'<text x="{width // 2}" y="21" fill="{FOREGROUND}" opacity="0.7" text-anchor="middle">{escape(title)}</text>'
    style = {}
    for number, line in enumerate(lines):
        pieces, style = runs(line, style)
        shown = "".join(drawn(*piece, BAR + (number + 1) * ROW - 5) for piece in pieces)
        if shown:
            yield shown
    yield "</svg>"


if __name__ == "__main__":
    screen = sys.stdin.read().rstrip("\n").split("\n")
    print("\n".join(picture(screen, sys.argv[1], int(sys.argv[2]))))
