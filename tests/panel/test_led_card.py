"""The printed card: complete, well formed, and within its paper."""

import re
from xml.etree import ElementTree

from appliance.panel.led_card import BAR_MM, BAR_S, HEIGHT_MM, MARGIN_MM, WIDTH_MM, Box, Text, drawing, pdf, svg
from appliance.panel.patterns import PATTERNS
from appliance.panel.rules import RULES


def test_every_meaning_is_on_it_once() -> None:
    words = [each.words for each in drawing() if isinstance(each, Text)]
    for rule in RULES:
        assert words.count(rule.sentence) == 1
    for pattern in PATTERNS:
        assert words.count(pattern.timing) == 1
    assert all(each.isascii() for each in words)


def test_the_bars_are_explained_and_have_a_time_scale() -> None:
    words = [each.words for each in drawing() if isinstance(each, Text)]
    assert any("white = lit" in each for each in words)
    assert [each for each in words if each in ("0", "2", "4", "6 s")] == ["0", "2", "4", "6 s"]
    ticks = [each for each in drawing() if isinstance(each, Box) and each.width < 0.2 and each.grey == 0]
    assert len(ticks) == 4
    for tick, second in zip(ticks, (0, 2, 4, 6), strict=True):
        assert abs(tick.x - MARGIN_MM - second / BAR_S * BAR_MM) < 0.6, "to the scale of the bars"
    first_bar = next(each for each in drawing() if isinstance(each, Box) and each.width == BAR_MM)
    assert 0 < first_bar.y - (ticks[0].y + ticks[0].height) < 2


def test_all_of_it_is_on_the_paper() -> None:
    for each in drawing():
        if isinstance(each, Box):
            assert each.x >= MARGIN_MM and each.x + each.width <= MARGIN_MM + BAR_MM + 1e-6
            assert each.y + each.height <= HEIGHT_MM - 3
            assert each.width >= 0
        else:
            assert each.x + 0.5 * each.size * len(each.words) <= WIDTH_MM - 2, each.words
            assert each.y <= HEIGHT_MM - 3


def test_the_svg_is_well_formed_and_draws_each_flash() -> None:
    root = ElementTree.fromstring(svg())
    assert root.get("width") == "105mm"
    lit = sum(1 for each in drawing() if isinstance(each, Box) and each.grey > 0)
    assert lit > sum(BAR_S // pattern.period_s for pattern in PATTERNS)
    assert len([each for each in root.iter() if each.tag.endswith("rect")]) == 1 + lit + len(PATTERNS) + 4


def test_the_pdf_says_where_its_objects_are() -> None:
    raw = pdf()
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", raw)[1])  # type: ignore[index]
    assert raw[start:].startswith(b"xref\n0 7\n")
    places = [int(line[:10]) for line in raw[start:].split(b"\n")[3:9]]
    for number, place in enumerate(places, 1):
        assert raw[place:].startswith(b"%d 0 obj\n" % number)
    length = int(re.search(rb"/Length (\d+)", raw)[1])  # type: ignore[index]
    stream = raw.index(b"stream\n") + 7
    assert raw[stream + length :].startswith(b"\nendstream")
