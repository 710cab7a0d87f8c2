"""Changes to one header block: line repair, folding, and the declared transfer encoding. Octets in, octets out; pure."""

import re

from appliance.mail.header import fields, header_end

LINE_OCTETS = 998
"""The longest line without its CRLF (RFC 5322 §2.1.1)."""
_LONG = re.compile(rb"[^\n]{1000}")
_FOLD = re.compile(rb"[ \t]*[^ \t].{0,900}(?=[ \t][^ \t])", re.DOTALL)
"""As much of a line as may stay, up to its last space; a line of nothing but spaces may not remain (RFC 5322 §3.2.2)."""
_FIRST_FOLD = re.compile(rb"[ \t]*[^ \t].*?(?=[ \t][^ \t])", re.DOTALL)
"""The same up to the first space, where the words are longer than that."""
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def repair_lines(block: bytes) -> bytes:
    """A bare CR or LF becomes a space, NUL is removed: a header is lines that end in CRLF."""
    if b"\0" in block:
        block = block.replace(b"\0", b"")
    return _BARE.sub(b" ", block) if _BARE.search(block) else block


def fold_lines(block: bytes) -> bytes:
    """Lines over LINE_OCTETS are folded at a space, where they have one (RFC 5322 §2.2.3)."""
    if not _LONG.search(block):
        return block
    return b"\r\n".join([folded for line in block.split(b"\r\n") for folded in _folded(line)])


def _folded(line: bytes) -> list[bytes]:
    done = []
    while len(line) > LINE_OCTETS and (found := _FOLD.match(line) or _FIRST_FOLD.match(line)):
        done.append(line[: found.end()])
        line = line[found.end() :]
    return [*done, line]


def declare_container_7bit(block: bytes) -> bytes:
    """A multipart's own transfer encoding, where it declares one, becomes 7bit."""
    return _replaced(block, b"content-transfer-encoding", b"7bit", add=False)


def declare_encoding(block: bytes, *, root: bool, encoding: bytes) -> bytes:
    """Declare the part's transfer encoding, and what a reader needs to undo it: Content-Type, and MIME-Version at the root."""
    block = _replaced(block, b"content-transfer-encoding", encoding, add=True)
    names = {one.name.lower() for one in fields(block)}
    if b"content-type" not in names:
        block = _added(block, b"Content-Type: text/plain; charset=unknown-8bit\r\n")
    return _added(block, b"MIME-Version: 1.0\r\n") if root and b"mime-version" not in names else block


def _replaced(block: bytes, name: bytes, value: bytes, *, add: bool) -> bytes:
    """The block with the field's value replaced; further fields of the name are removed."""
    out, done, there = b"", 0, False
    for one in fields(block[: header_end(block)]):
        if one.name.lower() == name:
            out += block[done : one.start] + (b"" if there else block[one.start : one.value_start] + b" " + value + b"\r\n")
            done, there = one.end, True
    block = out + block[done:]
    if not there and add:
        return _added(block, b"Content-Transfer-Encoding: " + value + b"\r\n")
    return block


def _added(block: bytes, line: bytes) -> bytes:
    """The block with a line after its last field, before the empty line."""
    end = len(block)
    if block.endswith(b"\r\n\r\n") or block == b"\r\n":
        end -= 2
    elif block and not block.endswith(b"\r\n"):
        return block + b"\r\n" + line + b"\r\n"
    return block[:end] + line + (block[end:] or b"\r\n")
