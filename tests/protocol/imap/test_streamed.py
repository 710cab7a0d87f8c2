"""Which literal of a command is a message: the first behind its arguments, of which any may be a literal itself."""

import pytest

from appliance.protocol.imap.server import Continue, ImapReader, Message, ReceivedCommand


def first(octets: bytes) -> object:
    made = ImapReader({b"APPEND": 1, b"REPLACE": 2})
    made.signed_in = True
    made.feed(octets)
    event = made.next()
    while isinstance(event, Continue):
        event = made.next()
    return event


@pytest.mark.parametrize(
    "octets",
    [
        b"a APPEND INBOX {3+}\r\n", b"a APPEND {5+}\r\nINBOX {3+}\r\n", b"a REPLACE 4 INBOX {3+}\r\n",
        b"a REPLACE 4 {5+}\r\nINBOX {3+}\r\n",
        b"a UID REPLACE 4 INBOX {3+}\r\n", b"a uid replace 4 {5+}\r\nINBOX (\\Seen) {3+}\r\n", b'a REPLACE 4 "two words" {3+}\r\n',
    ],
)  # fmt: skip
def test_it_is_a_message(octets: bytes) -> None:
    event = first(octets)
    assert isinstance(event, Message) and event.octets == 3


@pytest.mark.parametrize(
    "octets",
    [b"a REPLACE 4 {5+}\r\nINBOX\r\n", b"a UID SEARCH TEXT {5+}\r\nhello\r\n", b"a UID {3+}\r\nabc\r\n", b"a REPLACE {1+}\r\n4\r\n"],
)
def test_it_is_part_of_a_command(octets: bytes) -> None:
    assert isinstance(first(octets), ReceivedCommand)
