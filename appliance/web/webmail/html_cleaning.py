"""HTML of a message made harmless: an allow-list of elements and attributes, by nh3 (html5ever's parser, so what is checked is what a
browser would see), loaded at the first HTML message.

| what comes                                                    | what becomes of it                                             |
|---------------------------------------------------------------|----------------------------------------------------------------|
| script, style, SVG, MathML, template, object, media, frames    | gone with their content                                        |
| forms and their fields, base, meta, link                       | gone; text between them stays                                  |
| event handlers, id, name, class, srcset, background            | gone: nothing is named, nothing else is fetched                |
| titles of links and images                                    | gone: they would stand where a browser says where a link leads |
| style attributes                                               | as `styles` has it                                             |
| images `cid:`                                                  | the signed URL of that part                                    |
| images `http:`, `https:`                                       | counted; the signed URL of our own fetch where that is allowed |
| other images, relative links, links of other schemes           | without their address                                          |

Bounded: HTML_CHARACTERS, and what the parser would make of them (`html_bounds`). Formatting elements that are left open (`<b>`) are made
anew in every block behind them (HTML Standard §13.2.4.3), so that 19 kB can become a million elements; to the parser they are therefore
elements of no meaning (`<x-b>`), and they get their names back when what is made of them is known to be little. What is out of bounds is
shown as text. Without nh3 (no wheel for this machine) every HTML message is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape

from .html_bounds import is_bounded
from .styles import clean_style

HTML_CHARACTERS = 1_000_000
REMADE = 100_000
TAGS = frozenset((
    "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code", "col",
    "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main", "mark", "nav", "ol", "p", "pre", "q", "s", "samp", "section",
    "small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u",
    "ul", "var", "wbr",
))  # fmt: skip
REMOVED = frozenset((
    "script", "style", "svg", "math", "template", "noscript", "noembed", "noframes", "iframe", "frameset", "object", "embed", "applet",
    "audio", "video", "canvas", "map", "title", "xmp", "plaintext", "select", "datalist", "textarea", "portal", "dialog",
))  # fmt: skip
"""With all that is in them."""
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "*": frozenset(("style", "dir", "lang", "title", "align", "valign", "bgcolor", "width", "height")),
    "a": frozenset(("href",)),
    "img": frozenset(("src", "alt", "border", "hspace", "vspace")),
    "font": frozenset(("color", "face", "size")),
    "table": frozenset(("border", "cellpadding", "cellspacing", "summary")),
    "td": frozenset(("colspan", "rowspan", "nowrap")),
    "th": frozenset(("colspan", "rowspan", "nowrap", "scope")),
    "col": frozenset(("span",)),
    "ol": frozenset(("start", "type", "reversed")),
    "ul": frozenset(("type",)),
    "li": frozenset(("value", "type")),
    "details": frozenset(("open",)),
    "time": frozenset(("datetime",)),
}
SCHEMES = frozenset(("http", "https", "mailto", "tel", "cid"))
_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s]+", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s\\]+", re.IGNORECASE)
_FORMATTING = frozenset(("b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"))
_FORMATTING_TAG = re.compile(rf"<(/?)({'|'.join(_FORMATTING)})(?=[\t\n\f\r />])", re.IGNORECASE)
_RENAMED_TAG = re.compile(rf"((?:<|&lt;)/?)x-(?=(?:{'|'.join(_FORMATTING)})(?:[ />]|&gt;))")
"""Also in the value of an attribute."""
_CLEAN_TAG = re.compile(r"<(/?)(x-)?[a-z]")


@dataclass(slots=True)
class CleanHtml:
    """`remote`: how many images would come from elsewhere. `html` None: show the text instead."""

    html: str | None
    remote: int = 0


def clean_html(html: str, inline: Callable[[str], str | None], remote: Callable[[str], str | None] | None) -> CleanHtml:
    """`inline` gives the URL for a Content-ID, `remote` for an address elsewhere; None leaves the image without one. CPU-bound."""
    if len(html) > HTML_CHARACTERS or not is_bounded(html):
        return CleanHtml(None)
    try:
        import nh3
    except ImportError:
        return CleanHtml(None)
    found = CleanHtml("")

    def source(value: str) -> str | None:
        if value[:4].lower() == "cid:":
            return inline(value[4:])
        if _WEB.fullmatch(value) is None:
            return None
        found.remote += 1
        return remote(value) if remote is not None else None

    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return clean_style(value) or None
        if name == "title" and tag in ("a", "img"):
            return None
        if name == "href":
            return value if _LINK.fullmatch(value.strip()) else None
        return source(value.strip()) if name == "src" else value

    cleaned = nh3.clean(
        _FORMATTING_TAG.sub(r"<\1x-\2", html),
        tags={_parsed_as(tag) for tag in TAGS},
        clean_content_tags=set(REMOVED),
        attributes={_parsed_as(tag): set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=keep,
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"loading": "lazy"}},
    )
    found.html = _renamed_back(cleaned)
    return found


def _parsed_as(name: str) -> str:
    return f"x-{name}" if name in _FORMATTING else name


def _renamed_back(html: str) -> str | None:
    """Clean HTML with its formatting elements; None where a browser would make too many of them."""
    formatting = remade = 0
    for end, renamed in _CLEAN_TAG.findall(html):
        if renamed:
            formatting += -1 if end else 1
        else:
            remade += formatting
    return _RENAMED_TAG.sub(r"\1", html) if remade <= REMADE else None


_TEXT_TAGS = frozenset(("p", "div", "br", "li", "tr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "hr"))
_PLAIN_TAG = re.compile(r"<[^<>]*>")
_UNREAD = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in ("style", "script", "title")}
_UNREAD_TAG = re.compile(rf"<({'|'.join(_UNREAD)})(?=[\t\n\f\r />])", re.IGNORECASE)


def html_text(html: str) -> str:
    """The text of HTML, a line for each block. Without nh3, or where it is too deep, without tags."""
    given = _FORMATTING_TAG.sub(r"<\1x-\2", re.sub(r"\s+", " ", html))
    cleaned: str | None = None
    if is_bounded(given):
        try:
            import nh3
        except ImportError:
            pass
        else:
            cleaned = nh3.clean(given, tags=set(_TEXT_TAGS), clean_content_tags=set(REMOVED), attributes={})
    text = _without_unread(given) if cleaned is None else cleaned
    broken = re.sub(r"<(?:br|/p|/div|/li|/tr|/h\d|/blockquote|/pre|hr)>", "\n", re.sub(r"</p>", "\n\n", text))
    lines = [line.strip() for line in unescape(_PLAIN_TAG.sub("", broken)).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _without_unread(html: str) -> str:
    """HTML that is not parsed, without what is no text for people; all behind one that does not end is kept."""
    parts, at = [], 0
    while begin := _UNREAD_TAG.search(html, at):
        end = _UNREAD[begin[1].lower()].search(html, begin.end())
        if end is None:
            break
        parts.append(html[at : begin.start()])
        at = end.start()
    return "".join([*parts, html[at:]])
