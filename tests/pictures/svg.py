"""Turns what `tmux capture-pane -e -p` prints into a picture: reads it, and writes SVG with the title given.

Every character has its own place, so that the columns line up whatever fonts the reader has, also those of wide characters.
"""

import re
import sys
import unicodedata
from html import escape

COLUMN, ROW, FONT = 8.4, 18, 14
MARGIN, BAR = 14, 34
BACKGROUND, FOREGROUND = "#1e1f26", "#d8dae0"
COLOURS = ["#5c6370", "#e06c75", "#98c379", "#d19a66", "#61afef", "#c678dd", "#56b6c2", "#d8dae0"] * 2


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
    if text.strip():
        at = " ".join(f"{MARGIN + place * COLUMN:.1f}" for place in places)
        weight = ' font-weight="bold"' if style.get("bold") else ""
        dim = ' opacity="0.55"' if style.get("dim") else ""
        out += f'<text x="{at}" y="{y}" fill="{colour}"{weight}{dim}>{escape(text)}</text>'
    return out


def picture(lines, title):
    width = round(80 * COLUMN + 2 * MARGIN)
    height = BAR + len(lines) * ROW + MARGIN
    font = "ui-monospace, 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, 'Noto Sans Mono CJK SC', monospace"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{font}" font-size="{FONT}" xml:space="preserve" role="img">'
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
    print("\n".join(picture(screen, sys.argv[1])))
