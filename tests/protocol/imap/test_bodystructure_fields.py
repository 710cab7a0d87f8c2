"""A stored BODYSTRUCTURE is parsed into the parts it was made of: sections, types, sizes and where the part map has them."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.mail.partmap import find
from appliance.protocol.imap.bodystructure import make_describe
from appliance.protocol.imap.bodystructure_fields import parse_bodystructure

NESTED = b"""Content-Type: multipart/mixed; boundary=a

--a
Content-Type: text/plain; charset="us\\"ascii"
Content-Language: de, en
Content-Location: http://x.example/

one
--a
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=b

--b

two
--b--
--a
Content-Type: multipart/related; boundary=c
Content-Disposition: inline; x=y

--c
Content-Type: image/png
Content-ID: <i@x>
Content-Transfer-Encoding: BASE64
Content-Disposition: attachment; filename="a b.png"

aGk=
--c--
--a--
"""


def test_every_part_has_its_section_and_size() -> None:
    scanner = make_describe()
    scanner.feed(NESTED)
    described = scanner.finish()
    root = parse_bodystructure(described.bodystructure)
    parts = {part.section: part for part in root.walk()}
    assert {section: f"{part.type}/{part.subtype}" for section, part in parts.items()} == {
        (): "multipart/mixed", (1,): "text/plain", (2,): "message/rfc822", (3,): "multipart/related", (3, 1): "image/png",
    }  # fmt: skip
    for section, part in parts.items():
        extent = find(described.parts, section)
        assert extent is not None and (part.is_multipart or extent.end - extent.body_start == part.octets)
    text, picture = parts[1,], parts[3, 1]
    assert text.parameters == [(b"charset", b'us"ascii')] and text.languages == (b"de", b"en") and text.location == b"http://x.example/"
    assert (picture.id, picture.encoding, picture.disposition) == (b"<i@x>", "base64", "attachment")
    assert picture.disposition_parameters == [(b"filename", b"a b.png")] and parts[3,].disposition == "inline"


@pytest.mark.parametrize(
    "wire", [b"", b"()", b"NIL", b'("text")', b'("text" "plain" NIL NIL NIL "7bit" "x" 1)', b"((((", b'(("a") "mixed")']
)
def test_anything_else_is_refused(wire: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_bodystructure(wire)
