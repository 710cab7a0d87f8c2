"""Styles of a message's HTML: the declarations of a `style` attribute that cannot fetch, cover or hide anything outside.

Allowed are listed properties whose value is made of plain words, numbers, colours and a few functions. Escapes, comments, at-rules,
url(), var(), image-set() and all other functions drop the declaration they stand in: what is not understood is left out. So do units
that depend on the height of the window: the window is a frame that becomes as high as what is in it.
"""

import re

STYLE_OCTETS = 10_000
PROPERTIES = frozenset(
    f"{name}{side}"
    for name, sides in (
        ("margin", ("", "-top", "-right", "-bottom", "-left")), ("padding", ("", "-top", "-right", "-bottom", "-left")),
        ("border", ("", "-top", "-right", "-bottom", "-left", "-color", "-style", "-width", "-radius", "-collapse", "-spacing")),
        ("border-top", ("-color", "-style", "-width", "-left-radius", "-right-radius")),
        ("border-bottom", ("-color", "-style", "-width", "-left-radius", "-right-radius")),
        ("border-left", ("-color", "-style", "-width")), ("border-right", ("-color", "-style", "-width")),
        ("background", ("", "-color")), ("color", ("",)), ("direction", ("",)), ("unicode-bidi", ("",)),
        ("font", ("", "-family", "-size", "-style", "-weight", "-variant", "-stretch")),
        ("text", ("-align", "-decoration", "-indent", "-transform", "-overflow")), ("letter-spacing", ("",)), ("word-spacing", ("",)),
        ("line-height", ("",)), ("white-space", ("",)), ("word-break", ("",)), ("overflow-wrap", ("",)), ("word-wrap", ("",)),
        ("vertical-align", ("",)), ("width", ("",)), ("max-width", ("",)), ("min-width", ("",)), ("height", ("",)), ("max-height", ("",)),
        ("min-height", ("",)), ("display", ("",)), ("float", ("",)), ("clear", ("",)), ("overflow", ("", "-x", "-y")),
        ("list-style-type", ("",)), ("table-layout", ("",)), ("caption-side", ("",)), ("empty-cells", ("",)), ("box-sizing", ("",)),
        ("opacity", ("",)), ("mso-hide", ("",)),
    )
    for side in sides
)  # fmt: skip
"""No position, transform, z-index, animation, content, cursor, filter."""
_FUNCTION = re.compile(r"([a-z-]*)\(")
_FUNCTIONS = ("rgb", "rgba", "hsl", "hsla")
_VALUE = re.compile(r"[a-z0-9 #%.,()+'\"!/_-]*", re.IGNORECASE)
_OF_THE_WINDOW = re.compile(r"\d[sld]?v(?:h|b|i|min|max)(?![a-z])", re.IGNORECASE)


def clean_style(style: str) -> str:
    """The declarations that may stay, "" for none."""
    if len(style) > STYLE_OCTETS or "\\" in style or "/*" in style:
        return ""
    kept = []
    for declaration in style.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), " ".join(value.split())
        if colon and name in PROPERTIES and _is_plain(value):
            kept.append(f"{name}:{value}")
    return ";".join(kept)


def _is_plain(value: str) -> bool:
    if not value or _VALUE.fullmatch(value) is None or _OF_THE_WINDOW.search(value):
        return False
    return all(found in _FUNCTIONS for found in _FUNCTION.findall(value.lower()))
