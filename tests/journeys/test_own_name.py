"""An internationalized own domain: the server names itself in A-labels (RFC 5321 §2.3.5, RFC 5322 §3.6.4)."""

import re
import socket
from pathlib import Path

from tests.support.neighbours import Neighbours
from tests.support.wire import PASSWORD, Smtp

HOST = b"mail.xn--strae-oqa.example"


def test_greetings_and_added_header_fields_are_ascii(tmp_path: Path) -> None:
    """A non-ASCII Message-ID would become an encoded word when sent, and replies would no longer refer to the message."""
    with Neighbours(tmp_path, domain="straße.example") as world:
        far = world.peer("far.example", offer=("8BITMIME",))
        with world.server:
            for protocol in ("smtp", "submission", "imap"):
                with socket.create_connection(("127.0.0.1", world.server.ports[protocol]), 5) as sock:
                    greeting = sock.makefile("rb").readline()
                    assert HOST in greeting and greeting.isascii()
            with Smtp(world.server.ports["smtp"]) as smtp:
                assert smtp.ask(b"EHLO client.example").isascii()
                assert smtp.ask(b"MAIL FROM:<>").startswith(b"250")
                assert smtp.ask(b"RCPT TO:<postmaster@" + HOST + b">").startswith(b"250")
            with Smtp(world.server.ports["submission"]) as smtp:
                smtp.sign_in("ada@straße.example", PASSWORD)
                for line in (b"MAIL FROM:<ada@xn--strae-oqa.example>", b"RCPT TO:<bob@far.example>", b"DATA"):
                    assert smtp.ask(line)[:1] in (b"2", b"3")
                smtp.send(b"From: ada@xn--strae-oqa.example\r\nSubject: x\r\n\r\nwords\r\n.\r\n")
                assert smtp.reply().startswith(b"250")
            (taken,) = world.arrived(far)
    assert b" by " + HOST + b" with " in taken.octets
    assert re.search(rb"^Message-ID: <[0-9a-f]+@" + re.escape(HOST) + rb">\r$", taken.octets, re.MULTILINE)
