"""One field of an ENVELOPE is what the whole of it, parsed, has."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.bodystructure import make_describe
from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, parse_envelope
from appliance.protocol.imap.envelope_scan import first_address, subject_of
from tests.support import corpus

MESSAGES = (
    b"",
    b"Subject: plain\r\nFrom: a@x\r\nTo: b@x, c@x\r\n",
    b'Subject: a "quoted" one (with) \\ brackets\r\nFrom: "A \\"B\\" (C)" <a@x>, d@x\r\nCc: group: e@x;, f@x\r\n',
    "Subject: Grüße\r\nFrom: Jörg <j@x>\r\nTo: z@x\r\n".encode(),
    b"Subject: NIL\r\nFrom: NIL <NIL@NIL>\r\nBcc: <>\r\n",
    b'Date: "x\r\nReply-To: r@x\r\nSender: s@x\r\nSubject: \r\n',
)


def check(message: bytes) -> None:
    scanner = make_describe()
    scanner.feed(message)
    wire = scanner.finish().envelope
    whole = parse_envelope(wire)
    assert subject_of(wire) == whole.subject
    for field, addresses in zip(ADDRESS_FIELDS, whole.addresses, strict=True):
        assert first_address(wire, field) == (addresses[0] if addresses else None), field


@pytest.mark.parametrize("message", MESSAGES)
def test_it_is_what_the_whole_has(message: bytes) -> None:
    check(message + b"\r\n")


@pytest.mark.corpus
def test_of_the_corpus() -> None:
    for number, message in enumerate(corpus.messages()):
        if number % 4 == 0:
            check(message.octets[: 64 * 1024])


def test_no_envelope() -> None:
    with pytest.raises(MisuseError):
        subject_of(b"(nothing")
    with pytest.raises(MisuseError):
        first_address(b"", "to")
