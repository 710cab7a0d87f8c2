"""Forms and queries: `application/x-www-form-urlencoded` (WHATWG URL §5.1), bounded in fields and octets.

How it fails: MisuseError with a few words; nothing is guessed.
"""

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from appliance.mail.errors import MisuseError

MEDIA_TYPE = "application/x-www-form-urlencoded"
FIELDS = 200
FIELD_OCTETS = 64 * 2**10


class FormData:
    """Names and values in the order they were sent; a field that came twice has both."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        """The first value, without blanks at either end."""
        return next((value.strip() for key, value in self._pairs if key == name), default)

    def secret(self, name: str) -> str:
        """The first value exactly as it was typed: passwords."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value.strip() for key, value in self._pairs if key == name)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)


def parse_form(octets: bytes) -> FormData:
    """Raises MisuseError for too many fields, broken encoding, control characters other than line ends and tabs."""
    pairs: list[tuple[str, str]] = []
    for part in octets.split(b"&"):
        if not part:
            continue
        if len(pairs) >= FIELDS or len(part) > FIELD_OCTETS:
            raise MisuseError("the form is too large")
        name, _, value = part.partition(b"=")
        pairs.append((_decoded(name), _decoded(value)))
    return FormData(tuple(pairs))


def _decoded(octets: bytes) -> str:
    try:
        text = unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise MisuseError("the form is not UTF-8") from None
    if any(character < " " and character not in "\t\r\n" for character in text):
        raise MisuseError("the form has control characters")
    return text.replace("\r\n", "\n")
