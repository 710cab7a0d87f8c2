"""When passwords cannot be checked just now, every server sends a temporary error: no refusal, no close, and no details."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.mail.errors import AuthError
from tests.imapd.client import greeted
from tests.pop3d.pop_client import PopClient
from tests.support.services import PASSWORD, Components, some_components
from tests.support.smtp import Client

PLAIN = b64encode(b"\0fred@example.org\0" + PASSWORD.encode()).decode()


@pytest.fixture
async def components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Components]:
    async def broken(*_: object) -> None:
        raise AuthError("passwords were stored with a secret library")

    async with some_components(tmp_path) as components:
        monkeypatch.setattr(components.family.accounts.passwords, "find", broken)
        yield components


async def test_submission_says_454(components: Components) -> None:
    """RFC 4954 §6."""
    client = Client(components.connect("submission"))
    await client.greet()
    reply = await client.ask(f"AUTH PLAIN {PLAIN}")
    assert (reply.code, reply.status) == (454, "4.7.0") and "secret" not in str(reply)
    assert (await client.ask("NOOP")).code == 250


@pytest.mark.parametrize("words", [f"LOGIN fred@example.org {PASSWORD}", f"AUTHENTICATE PLAIN {PLAIN}"])
async def test_imap_says_unavailable(components: Components, words: str) -> None:
    """RFC 5530 §3."""
    client = await greeted(components)
    _, answer = await client.command(words.encode())
    assert answer.startswith(b"NO [UNAVAILABLE] ") and b"secret" not in answer
    assert (await client.command(b"NOOP"))[1].startswith(b"OK")


async def test_pop3_says_temporary(components: Components) -> None:
    """RFC 3206 §4."""
    async with PopClient(components.connect("pop3")) as client:
        answers = [await client.sign_in(), await client.command(f"AUTH PLAIN {PLAIN}".encode())]
        assert all(answer.startswith(b"-ERR [SYS/TEMP] ") and b"secret" not in answer for answer in answers)
        assert (await client.command(b"CAPA")).startswith(b"+OK")
