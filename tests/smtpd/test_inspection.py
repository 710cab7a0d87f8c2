"""Inspectors: one pass over the octets, the staged body readable, the verdict before the commit, a deadline."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from appliance.mail.envelope import Envelope
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.reply import Reply
from appliance.smtpd.inspection import PASSED, VERDICTS_S, TransactionSession, Verdict
from appliance.store.incoming import StagedBody
from tests.support.services import Components, some_components

from .test_session import FRED, MARY, MESSAGE, PLAIN, STRANGER, a_client, messages

SPAM = Verdict(Reply(550, "5.7.1", ("This message looks like spam.",)))
Judge = Callable[["Seen", StagedBody], Awaitable[Verdict]]


@dataclass
class Seen:
    """An inspection with a scanner: what it was fed, and what its verdict saw."""

    judge: Judge
    fed: bytes = b""
    complete: bool = False

    @property
    def scanner(self) -> "Seen":
        return self

    def feed(self, chunk: bytes) -> None:
        assert not self.complete
        self.fed += chunk

    def end(self) -> None:
        self.complete = True

    async def verdict(self, body: StagedBody) -> Verdict:
        assert self.complete
        return await self.judge(self, body)


@dataclass
class Recorder:
    """An inspector that keeps its inspections."""

    judge: Judge
    when_late: Verdict = PASSED
    seen: list[Seen] = field(default_factory=list)

    def begin(self, session: TransactionSession, envelope: Envelope) -> Seen:
        self.seen.append(Seen(self.judge))
        return self.seen[-1]


async def passes(seen: Seen, body: StagedBody) -> Verdict:
    return PASSED


@asynccontextmanager
async def inspected(tmp_path: Path, *inspectors: Recorder) -> AsyncIterator[Components]:
    async with some_components(tmp_path, inspectors=inspectors) as components:
        yield components


LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%s\r\n" % sha256(b"%d" % n).hexdigest().encode() for n in range(60_000))
SIZES = {
    "small": MESSAGE,
    "a row of blocks": b"Subject: b\r\n\r\n" + b"y" * 70 * 1000 + b"\r\n" + b"z" * 300_000 + b"\r\n",
    "a file": LARGE,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["data", "chunks"])
async def test_the_scanner_and_the_staged_body_have_the_octets(tmp_path: Path, size: str, how: str) -> None:
    """Before the commit, wherever the body will be stored."""
    message = SIZES[size]

    async def compare(seen: Seen, body: StagedBody) -> Verdict:
        opened, read = body.open(), b""
        await opened.open()
        while chunk := await opened.read(len(read), 2**20):
            read += chunk
        assert seen.fed == read == message and opened.octets == body.octets == len(message)
        return Verdict(fields=b"X-Octets: %d\r\n" % len(read))

    recorder = Recorder(compare)
    async with inspected(tmp_path, recorder) as components:
        client = await a_client(components)
        await client.envelope(STRANGER, FRED)
        cut = len(message) // 3
        reply = await client.data(message) if how == "data" else await client.chunks(message[:cut], b"", message[cut:])
        assert reply.code == 250
        (kept,) = await messages(components)
        assert kept.endswith(b"\r\nX-Octets: %d\r\n" % len(message) + message)
        assert len(recorder.seen) == 1


async def test_a_refusal_keeps_nothing(tmp_path: Path) -> None:
    async def refuse(seen: Seen, body: StagedBody) -> Verdict:
        assert await messages(components) == [], "the verdict comes before the commit"
        return SPAM

    later = Recorder(passes)
    async with inspected(tmp_path, Recorder(refuse), later) as components:
        client = await a_client(components)
        for message in (MESSAGE, LARGE):
            await client.envelope(STRANGER, FRED)
            assert (await client.data(message)).status == "5.7.1"
        assert await messages(components) == []
        assert [seen.complete for seen in later.seen] == [True, True], "every scanner is fed; only verdicts are spared"
        await client.envelope(STRANGER, FRED)
        assert (await client.chunks(MESSAGE)).status == "5.7.1", "the session goes on"


async def test_a_submitted_message_is_inspected_without_its_bcc(tmp_path: Path) -> None:
    recorder = Recorder(passes)
    async with inspected(tmp_path, recorder) as components:
        client = await a_client(components, "submission")
        assert (await client.ask(PLAIN)).code == 235
        await client.envelope(FRED, MARY)
        assert (await client.data(b"From: fred@example.org\r\nBcc: x@y.example\r\n\r\nhi\r\n")).code == 250
        assert recorder.seen[0].fed == b"From: fred@example.org\r\n\r\nhi\r\n"


@pytest.mark.parametrize(("when_late", "code"), [(PASSED, 250), (Verdict(Reply(451, "4.7.1", ("Not judged in time.",))), 451)])
async def test_the_deadline(tmp_path: Path, autojump_clock: MockClock, when_late: Verdict, code: int) -> None:
    """One deadline for all; whoever comes after it is late too."""

    async def never(seen: Seen, body: StagedBody) -> Verdict:
        await trio.sleep_forever()
        raise AssertionError

    async with inspected(tmp_path, Recorder(never), Recorder(never, when_late)) as components:
        client = await a_client(components)
        await client.envelope(STRANGER, FRED)
        started = trio.current_time()
        assert (await client.data(MESSAGE)).code == code
        assert trio.current_time() - started == pytest.approx(VERDICTS_S, abs=1)
        assert len(await messages(components)) == (code == 250)


async def test_an_error_of_the_store_is_temporary(tmp_path: Path) -> None:
    async def broken(seen: Seen, body: StagedBody) -> Verdict:
        raise StoreError(Trouble.BROKEN)

    async with inspected(tmp_path, Recorder(broken)) as components:
        client = await a_client(components)
        await client.envelope(STRANGER, FRED)
        reply = await client.data(MESSAGE)
        assert (reply.code, reply.status) == (451, "4.3.0")
        assert (await client.ask("NOOP")).code == 250
        assert await messages(components) == []
