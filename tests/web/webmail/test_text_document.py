"""Plain text as HTML: escaping, links, folded quotes, flowed lines."""

import pytest

from appliance.web.webmail.text_document import QUOTES, Flow, _joined, linked, read_flow, text_html, unflowed

FLOWED = Flow(True)


def test_markup_is_text_and_links_show_where_they_lead() -> None:
    assert linked('<img src=x onerror="y">') == "&lt;img src=x onerror=&quot;y&quot;&gt;"
    shown = linked("See https://example.org/a_(b)?c=1&d=2. Or www.example.org, or write to mary@example.org!")
    assert 'href="https://example.org/a_(b)?c=1&amp;d=2"' in shown and ">https://example.org/a_(b)?c=1&amp;d=2</a>." in shown
    assert 'href="https://www.example.org"' in shown and 'href="mailto:mary@example.org"' in shown and "</a>!" in shown
    assert "<a" not in linked("javascript:alert(1) data:text/html,x")


def test_long_quotes_are_folded_and_short_ones_stay() -> None:
    long = text_html("Yes.\n" + "> line\n" * 6 + "Bye", "more")
    assert "<details><summary>more</summary><blockquote>" in long and long.endswith('<p class="text">Bye</p>')
    short = text_html("> one\n>> two\nYes", "more")
    assert "<details>" not in short and '<blockquote><p class="text">one</p><blockquote><p class="text">two</p>' in short


def test_flowed_lines_are_joined() -> None:
    assert text_html("one \ntwo\nthree\n-- \nMary", "", FLOWED) == '<p class="text">one two\nthree\n-- \nMary</p>'
    assert text_html("> a \n> b\nc", "", FLOWED) == '<blockquote><p class="text">a b</p></blockquote><p class="text">c</p>'
    assert text_html("Spam \n wieder\n", "", Flow(True, True)) == '<p class="text">Spamwieder</p>'


def test_a_reply_quotes_and_a_draft_goes_on_with_unflowed_lines() -> None:
    assert unflowed("one \ntwo\n >no quote\n>> deep \n>> er\n-- \nMary \n", FLOWED) == "one two\n>no quote\n>> deep er\n-- \nMary "
    assert unflowed("one \n two", Flow()) == "one \n two"


def test_the_space_before_a_fixed_line_is_its_own() -> None:
    assert text_html("if x:\n  y", "") == '<p class="text">if x:\n  y</p>'
    assert text_html(" a\n> b", "") == '<p class="text"> a</p><blockquote><p class="text">b</p></blockquote>'


@pytest.mark.parametrize(
    ("field", "flow"),
    [
        (' text/plain; charset="utf-8"; FORMAT="Flowed"; delsp=YES', Flow(True, True)),
        (" text/plain; format=fixed", Flow()),
        (' text/plain; name="format=flowed"', Flow()),
        (None, Flow()),
    ],
)
def test_the_parameters_are_read(field: str | None, flow: Flow) -> None:
    assert read_flow(field) == flow


def test_ten_thousand_quote_marks_take_no_depth() -> None:
    assert text_html(">" * 10_000 + "x", "").count("<blockquote>") == 10


class _Line(str):
    """A line that is not copied for the next one."""

    __slots__ = ()

    def __add__(self, other: str) -> str:
        raise AssertionError("a paragraph is put together once, or its time grows with the square of its lines")


def test_a_flowed_paragraph_is_put_together_once() -> None:
    lines: list[tuple[int, str]] = [(0, _Line("a "))] * 3 + [
        (0, "b"),
        (1, _Line("c ")),
        (2, "d"),
        (2, _Line("e ")),
        (2, "-- "),
        (0, _Line("f ")),
    ]
    assert list(_joined(lines, FLOWED)) == [(0, "a a a b"), (1, "c "), (2, "d"), (2, "e "), (2, "-- "), (0, "f ")]


@pytest.mark.parametrize("unit", [">>>>>>>>>>a\nb\n", "www.a ", "a@b.c ", "http://a "])
def test_a_megabyte_of_text_makes_no_million_elements(unit: str) -> None:
    shown = text_html(unit * (1_000_000 // len(unit)), "more")
    assert shown.count("<") < 4 * QUOTES and len(shown) < 4_000_000
    assert shown.count("b") >= unit.count("b") * (1_000_000 // len(unit)), "nothing is left out"
    assert "<blockquote>" in text_html("> a\nb\n" * 1000, "") and "<a " in text_html("www.a.example " * 1000, "")
