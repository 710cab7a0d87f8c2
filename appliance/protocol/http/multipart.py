"""Forms with files: `multipart/form-data`, read as a stream (RFC 7578, RFC 2046 §5.1).

| state    | octets                                             | then                                                        |
|----------|----------------------------------------------------|-------------------------------------------------------------|
| begin    | the first boundary                                 | head, or end                                                |
| head     | the fields of a part, HEAD_OCTETS at most          | body: a FormPart                                                |
| body     | octets of the part, but for what may be a boundary | octets as they come; at the boundary head, or end           |
| end      | dropped                                            | -                                                           |

How it fails: MisuseError with a few words; nothing is guessed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.mail.errors import MisuseError

MEDIA_TYPE = "multipart/form-data"
HEAD_OCTETS = 8 * 2**10
PARTS = 50
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([0-9A-Za-z\'()+_,./:=?-]{1,70}))\s*(?:;|\Z)', re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?i)^content-disposition:[ \t]*form-data[ \t]*((?:;[^\r\n]*)?)$", re.MULTILINE)
_PARAMETER = re.compile(rb';[ \t]*(name|filename)="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FormPart:
    """One field: its name; `file` its file's name, None for a field without one. Its octets follow."""

    name: str
    file: str | None


def boundary_of(content_type: str) -> bytes:
    """Raises MisuseError."""
    found = _BOUNDARY.search(content_type)
    if content_type.partition(";")[0].strip().lower() != MEDIA_TYPE or found is None:
        raise MisuseError("the form has no boundary")
    return (found[1] or found[2]).encode("latin-1")


class MultipartReader:
    """`feed` octets as they come, in any chunks; `end` at the last."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # the first boundary has no line end before it
        self._state = "begin"
        self._parts = 0

    def feed(self, octets: bytes) -> Iterator[FormPart | bytes]:
        """What they complete: FormPart, then its octets in chunks, then the next FormPart. Raises MisuseError."""
        if self._state == "end":
            return
        self._buffer += octets
        while (found := self._next()) is not None:
            if found:
                yield found

    def end(self) -> None:
        """Raises MisuseError when the last boundary did not come."""
        if self._state != "end":
            raise MisuseError("the form is cut off")

    def _next(self) -> FormPart | bytes | None:
        """The next event, b"" for none but go on, None for more octets."""
        if self._state == "head":
            return self._head()
        if self._state == "end":
            return None
        at = self._buffer.find(self._mark)
        if at < 0:
            return self._free()
        if len(self._buffer) < at + len(self._mark) + 2:
            return self._taken(at) if at and self._state == "body" else None
        octets, behind = self._taken(at), bytes(self._buffer[len(self._mark) : len(self._mark) + 2])
        if self._state == "begin" and octets:
            raise MisuseError("the form does not begin with its boundary")
        if behind not in (b"\r\n", b"--"):
            raise MisuseError("the form has a broken boundary")
        del self._buffer[: len(self._mark) + 2]
        self._state = "head" if behind == b"\r\n" else "end"
        return octets

    def _free(self) -> bytes | None:
        """Octets that cannot belong to a boundary."""
        free = len(self._buffer) - len(self._mark) + 1
        if free <= 0:
            return None
        if self._state == "begin":
            raise MisuseError("the form does not begin with its boundary")
        return self._taken(free)

    def _taken(self, octets: int) -> bytes:
        taken = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return taken

    def _head(self) -> FormPart | None:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_OCTETS)
        if end < 0:
            if len(self._buffer) > HEAD_OCTETS:
                raise MisuseError("the head of a field is too long")
            return None
        head = self._taken(end + 4)
        disposition = _DISPOSITION.search(head.replace(b"\r\n", b"\n"))
        values = {key.lower(): value for key, value in _PARAMETER.findall(disposition[1])} if disposition else {}
        self._parts += 1
        if b"name" not in values or self._parts > PARTS:
            raise MisuseError("the form has a field without a name, or too many")
        self._state = "body"
        return FormPart(_text(values[b"name"]), _text(values[b"filename"]) if b"filename" in values else None)


def _text(octets: bytes) -> str:
    """A name as browsers write it: UTF-8, with `"` and line ends percent-encoded (HTML, multipart/form-data encoding)."""
    text = octets.decode("utf-8", "replace").replace("%22", '"').replace("%0D", "").replace("%0A", "")
    return "".join(one for one in text if one.isprintable())
