"""How much a parser would make of a message's HTML, known before it is parsed: an upper bound in one pass.

html5ever's time grows with the square of the depth of elements. The pass keeps a stack of which the parser's own stack of open elements
is always a part: a start tag puts its element there, an end tag takes one off only where the parser certainly does so, which is where
nothing between them hides it (HTML Standard §13.2.6.4.7). What is too rare in mail to be worth following is out of bounds: SVG that is
more than shapes, MathML, templates, a menu of a form that holds other things than its choices.
"""

import re
from html.entities import html5

DEPTH = 300
"""Open elements."""
TAGS = 100_000
"""Each becomes an element of some 260 octets until the text is clean."""
TAG_CHARACTERS = 4000
"""Of a tag without its quoted values: html5ever compares each attribute's name with all before it."""
REFERENCES = 50_000
"""Ampersands that are no character reference: html5ever puts each to the text for itself, and the whole text is copied."""
STEPS = 3_000_000
"""Open elements looked at for end tags."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPACE = r"[\t\n\f\r ]"
_VALUE = rf"""{_SPACE}*+={_SPACE}*+(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >"'][^\t\n\f\r >]*+)?+"""
_ATTRIBUTES = rf"(?:[\t\n\f\r /]++|[^\t\n\f\r />][^\t\n\f\r />=]*+(?:{_VALUE})?+)*+"
_TAG = re.compile(rf"<(?P<end>/?)(?P<name>[a-zA-Z][^\t\n\f\r />]*+)(?P<attributes>{_ATTRIBUTES})>")
_COMMENT = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))|<[!?/][^>]*+>?", re.DOTALL)
"""Tags and comments as §13.2.5 has them."""
_MARKUP = re.compile("<(?:(?P<tag>/?[a-zA-Z])|[!?/])")
_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9a-fA-F]+)|([a-zA-Z][a-zA-Z0-9]*+;))")
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")
_RAW = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript")
}
"""What is in them is text."""
_NEVER_OPEN = _names("""area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr
    tr tbody thead tfoot colgroup html head body""")
"""Empty elements, and those that are only between a table and its cells, or there already."""
_TABLE = frozenset(("table",))
_CELLS = ("td", "th", "caption")
_HIDING = _names("applet marquee object table td th caption")
"""No end tag in them closes what is outside (§13.2.4.2, “in scope”)."""
_BLOCKS = _names("""address article aside blockquote center dir div dl fieldset figcaption figure footer header hgroup listing main menu
    nav ol pre section ul table""")
"""Their end tags close all that is in them."""
_OTHER_BLOCKS = _names("p li dd dt h1 h2 h3 h4 h5 h6 button form applet marquee object")
_SPECIAL = _HIDING | _BLOCKS | _OTHER_BLOCKS | _names("details summary frameset plaintext select search dialog")
"""They hide what is outside from end tags of other elements than these."""
_WHOLE = _BLOCKS | _names("td th caption svg")
"""With them goes what is in them; without the others it may stay."""
_CLOSED_BY_NEXT = {"p": ("p",), "li": ("li",), "dd": ("dd", "dt"), "dt": ("dd", "dt"), "option": ("option",)}
_BETWEEN_CELLS = _names("td th caption tr tbody thead tfoot col colgroup")
_ONLY = {
    "svg": _names("""svg g path rect circle ellipse line polyline polygon defs use symbol image text tspan stop
        lineargradient radialgradient clippath mask pattern filter"""),
    "select": _names("select option optgroup"),
}
"""Elements with rules of their own, and what may be in them."""


def is_bounded(html: str) -> bool:
    """CPU-bound."""
    if html.count("<") > TAGS or (html.count("&") > REFERENCES and _bare(html) > REFERENCES):
        return False
    try:
        _Depth().read(html)
    except OverflowError:
        return False
    return True


def _bare(html: str) -> int:
    return html.count("&") - sum(found[1] is None or found[1] in html5 for found in _REFERENCE.finditer(html))


class _Depth:
    """Raises OverflowError."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.inside = ""
        self.steps = 0

    def read(self, html: str) -> None:
        place = 0
        while markup := _MARKUP.search(html, place):
            found = (_TAG if markup["tag"] else _COMMENT).match(html, markup.start())
            if found is None:  # without an end: the parser reads the attributes of a tag, and leaves it out with all behind it
                _check_attributes(html[markup.start() :] if markup["tag"] else "")
                return
            place = found.end()
            if not markup["tag"]:
                if self.inside and found[0].startswith("<![CDATA["):
                    raise OverflowError
                continue
            name = found["name"].lower() if found["name"].isascii() else found["name"]
            _check_attributes(found["attributes"])
            if found["end"]:
                self._end(name)
            else:
                self._start(name)
                place = _behind_text(html, name, place)

    def _start(self, name: str) -> None:
        if name in ("math", "template") or (self.inside and name not in _ONLY[self.inside]):
            raise OverflowError
        for one in _CLOSED_BY_NEXT.get(name, ()):
            self._close(one, _hiding("p") if name == "p" else _SPECIAL - {"address", "div", "p"})
        if name in _BETWEEN_CELLS:
            self._close_cell()
        elif name == "table" and next((one for one in reversed(self.open) if one == "table" or one in _CELLS), "") == "table":
            self._close("table", _TABLE)  # a table in a table, but in no cell of it, ends it
        if name in _NEVER_OPEN or (name in _CELLS and "table" not in self.open):
            return
        self.open.append(name)
        if name in _ONLY:
            self.inside = name
        if len(self.open) > DEPTH:
            raise OverflowError

    def _end(self, name: str) -> None:
        if self.inside and name not in _ONLY[self.inside]:
            return
        if name in ("tr", "tbody", "thead", "tfoot"):
            self._close_cell()
        if name not in self.open:
            return
        self._close(name, _hiding(name))
        if name == self.inside and name not in self.open:
            self.inside = ""

    def _close_cell(self) -> None:
        for one in _CELLS:
            self._close(one, _TABLE)

    def _close(self, name: str, hiding: frozenset[str]) -> None:
        """Take the last of that name off, unless one of `hiding` stands behind it."""
        for at in range(len(self.open) - 1, -1, -1):
            self.steps += 1
            if self.open[at] == name:
                del self.open[at : None if name in _WHOLE else at + 1]
                break
            if self.open[at] in hiding:
                break
        if self.steps > STEPS:
            raise OverflowError


def _check_attributes(attributes: str) -> None:
    if len(attributes) > TAG_CHARACTERS and len(_QUOTED.sub("", attributes)) > TAG_CHARACTERS:
        raise OverflowError


def _hiding(name: str) -> frozenset[str]:
    """What an end tag of that name does not reach behind."""
    if name == "table" or name in _CELLS:
        return _TABLE
    if name == "li":
        return _HIDING | {"ol", "ul"}
    if name == "p":
        return _HIDING | {"button"}
    return _HIDING if name in _BLOCKS or name in _OTHER_BLOCKS else _SPECIAL


def _behind_text(html: str, name: str, place: int) -> int:
    """Where markup goes on after this start tag."""
    if name not in _RAW:
        return place
    end = _RAW[name].search(html, place)
    stop = end.start() if end else len(html)
    if name == "script" and "<!--" in html[place:stop] and "<script" in html[place:stop].lower():
        raise OverflowError  # the end tag found may be part of the text (§13.2.5.18)
    return stop
