"""The printed card of LED patterns, to tape to the box: one drawing, as SVG or as PDF, from the tables the LEDs play.

A6, black on white, so that any printer can print it; each row has its pattern to scale and in words, and its meaning.
Text is plain ASCII and in a font every printer has.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .patterns import PATTERNS, Pattern
from .rules import GROUPS, RULES

WIDTH_MM, HEIGHT_MM = 105.0, 148.0
MARGIN_MM = 6.0
BAR_MM = 24.0
"""Length of the drawn pattern."""
BAR_S = 6.0
"""Time it stands for."""
ROW_MM = 6.0
POINTS_A_MM = 72 / 25.4
TITLE = "Pillarbox: what the LED shows"
BUTTON = (
    "Button: press = try waiting messages now, show the state.",
    "Hold 3 s = stop the server, then wait until it is safe.",
    "Hold while plugging in, 10 s on from the first blink = one-time console password.",
)
SCALE_S = (0, 2, 4, 6)
LEGEND = "In the bars white = lit, black = dark, grey = dim; they show 6 seconds."
NIGHT = "At night LEDs are dim; one that cannot be dimmed is dark unless something needs you."


@dataclass(frozen=True, slots=True)
class Box:
    """Millimetres from the left and top; `grey` 0 black to 1 white."""

    x: float
    y: float
    width: float
    height: float
    grey: float


@dataclass(frozen=True, slots=True)
class Text:
    """`y` is the base line, `size` the font size in millimetres."""

    x: float
    y: float
    size: float
    words: str
    bold: bool = False


def svg() -> str:
    """The card as one SVG document."""
    from html import escape

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM:g}mm" height="{HEIGHT_MM:g}mm" '
        f'viewBox="0 0 {WIDTH_MM:g} {HEIGHT_MM:g}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH_MM:g}" height="{HEIGHT_MM:g}" fill="#fff"/>',
    ]
    for each in drawing():
        if isinstance(each, Box):
            shade = round(each.grey * 255)
            lines.append(
                f'<rect x="{each.x:.2f}" y="{each.y:.2f}" width="{each.width:.2f}" height="{each.height:.2f}" '
                f'fill="#{shade:02x}{shade:02x}{shade:02x}"/>'
            )
        else:
            weight = ' font-weight="bold"' if each.bold else ""
            lines.append(f'<text x="{each.x:.2f}" y="{each.y:.2f}" font-size="{each.size:g}"{weight}>{escape(each.words)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def pdf() -> bytes:
    """The card as one page of PDF 1.4."""
    strokes = []
    for each in drawing():
        x = each.x * POINTS_A_MM
        if isinstance(each, Box):
            y = (HEIGHT_MM - each.y - each.height) * POINTS_A_MM
            strokes.append(f"{each.grey:g} g {x:.2f} {y:.2f} {each.width * POINTS_A_MM:.2f} {each.height * POINTS_A_MM:.2f} re f")
        else:
            y = (HEIGHT_MM - each.y) * POINTS_A_MM
            words = each.words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            strokes.append(f"0 g BT /{'B' if each.bold else 'R'} {each.size * POINTS_A_MM:.2f} Tf {x:.2f} {y:.2f} Td ({words}) Tj ET")
    page = "\n".join(strokes).encode("ascii")
    size = f"[0 0 {WIDTH_MM * POINTS_A_MM:.2f} {HEIGHT_MM * POINTS_A_MM:.2f}]"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica%s >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {size} /Contents 4 0 R /Resources << /Font << /R 5 0 R /B 6 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        (font % "").encode(),
        (font % "-Bold").encode(),
    ]
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, each_object in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, each_object)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def drawing() -> Iterator[Box | Text]:
    """Everything on the card, from top to bottom."""
    timings = {pattern.meaning: pattern for pattern in PATTERNS}
    y = MARGIN_MM + 4
    yield Text(MARGIN_MM, y, 4.2, TITLE, bold=True)
    y += 3.8
    yield Text(MARGIN_MM, y, 2.2, LEGEND)
    for group, heading in GROUPS:
        y += 5.2
        yield Text(MARGIN_MM, y, 3.0, heading, bold=True)
        if group == GROUPS[0][0]:
            y += 2.4
            yield from _scale(y + 0.9)
        y += 1.6
        for rule in RULES:
            if rule.group == group:
                pattern = timings[rule.meaning]
                yield from _bar(pattern, y)
                yield Text(MARGIN_MM + BAR_MM + 3, y + 2.3, 2.5, rule.sentence)
                yield Text(MARGIN_MM + BAR_MM + 3, y + 4.9, 2.1, pattern.timing)
                y += ROW_MM
    y += 2.6
    for line in (NIGHT, *BUTTON):
        yield Text(MARGIN_MM, y, 2.2, line)
        y += 3.0


def _scale(y: float) -> Iterator[Box | Text]:
    """Seconds above the bars: a tick at each of SCALE_S, and its number."""
    for second in SCALE_S:
        x = MARGIN_MM + 0.3 + second / BAR_S * (BAR_MM - 0.75)
        yield Box(x, y - 0.7, 0.15, 1.0, 0.0)
        yield Text(x if second < BAR_S else x - 2.6, y - 1.0, 2.0, f"{second} s" if second == BAR_S else str(second))


def _bar(pattern: Pattern, y: float) -> Iterator[Box]:
    """The pattern to scale: white is lit, black is dark, as the LED is."""
    yield Box(MARGIN_MM, y, BAR_MM, 4.4, 0.0)
    at = 0.0
    while at < BAR_S:
        for level, seconds in pattern.steps:
            until = min(at + seconds, BAR_S)
            if level > 0 and until > at:
                x, end = (MARGIN_MM + t / BAR_S * (BAR_MM - 0.6) + 0.3 for t in (at, until))
                yield Box(x, y + 0.4, end - x, 3.6, 0.35 + 0.65 * level if level < 1 else 1.0)
            at += seconds
