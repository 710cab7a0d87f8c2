"""FETCHes a client pipelines: read together, answered one by one as if each had been read alone."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.ids import Uid
from appliance.store.values import Mode
from tests.support.services import Components, some_components

from .client import Client, signed_in
from .test_overtaken import after_read

TEXT = b"Subject: %d\r\n\r\nwords\r\n"


async def filled(components: Components, count: int) -> Client:
    for number in range(count):
        await components.deliver(TEXT % number, flags=("\\Seen",))
    return await signed_in(components, b"INBOX")


async def pipelined(client: Client, *commands: bytes) -> list[tuple[list[bytes], bytes]]:
    """Send them at once; (untagged responses, tagged answer) of each."""
    tags = [b"p%d" % number for number in range(len(commands))]
    await client.send(b"".join([tag + b" " + text + b"\r\n" for tag, text in zip(tags, commands, strict=True)]))
    return [await client.until_tag(tag) for tag in tags]


def readings(components: Components) -> Callable[[], int]:
    """Counts the database's readings from now."""
    writer, count = components.family.writer, 0
    plain = writer.read

    async def read(work: Any) -> Any:
        nonlocal count
        count += 1
        return await plain(work)

    writer.read = read  # type: ignore[method-assign]
    return lambda: count


@pytest.mark.parametrize("form", (b"FETCH", b"UID FETCH"))
@pytest.mark.parametrize(
    "items", (b"(FLAGS BODY.PEEK[])", b"(UID FLAGS)", b"(ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.9>)", b"BODY.PEEK[9]")
)
async def test_one_reading_serves_a_group_and_the_answers_are_those_of_single_commands(tmp_path: Path, form: bytes, items: bytes) -> None:
    async with some_components(tmp_path) as components:
        client = await filled(components, 9)
        sets = [b"1", b"3:4", b"9", b"2,5", b"1", b"7:*"]
        alone = [await client.command(b"%b %b %b" % (form, one, items)) for one in sets]
        count = readings(components)
        assert await pipelined(client, *[b"%b %b %b" % (form, one, items) for one in sets]) == alone
        assert count() == 1


async def test_other_commands_keep_their_place(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await filled(components, 3)
        answers = await pipelined(
            client, b"FETCH 1 BODY.PEEK[]", b"FETCH 2 BODY.PEEK[]", b"FETCH 7 BODY.PEEK[]", b"FETCH 1 (NOSUCH)",
            b"STORE 3 +FLAGS (\\Flagged)", b"FETCH 3 FLAGS", b"FETCH 3 FLAGS", b"LOGOUT",
        )  # fmt: skip
        assert [answer[:3].rstrip() for _, answer in answers] == [b"OK", b"OK", b"BAD", b"BAD", b"OK", b"OK", b"OK", b"OK"]
        assert [len(untagged) for untagged, _ in answers] == [1, 1, 0, 0, 1, 1, 1, 1]
        assert b"\\Flagged" in answers[5][0][0] and b"\\Flagged" in answers[6][0][0]


async def test_large_messages_are_read_by_themselves(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await filled(components, 2)
        large = b"Subject: large\r\n\r\n" + b"line\r\n" * 100_000
        await components.deliver(large)
        await components.deliver(TEXT % 9)
        answers = await pipelined(client, b"NOOP", *[b"FETCH %d BODY.PEEK[TEXT]" % number for number in (1, 3, 4, 3, 2)])
        assert [len(untagged[-1]) > 100_000 for untagged, _ in answers[1:]] == [False, True, False, True, False]
        assert all(answer.startswith(b"OK") for _, answer in answers)


async def test_seen_is_set_by_each(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(3):
            await components.deliver(TEXT % number)
        client = await signed_in(components, b"INBOX")
        answers = await pipelined(client, b"FETCH 1 BODY[]", b"FETCH 2 BODY[]", b"FETCH 1 BODY[]", b"FETCH 1:2 FLAGS", b"FETCH 3 FLAGS")
        assert [b"\\Seen" in untagged[0] for untagged, _ in answers] == [True, True, False, True, False]


@pytest.mark.parametrize("reading", (1, 2))
@pytest.mark.parametrize("form", (b"FETCH", b"UID FETCH"))
async def test_expunged_meanwhile(tmp_path: Path, form: bytes, reading: int) -> None:
    """Another session expunges one, before the group is read or just after: NO for its number, EXPUNGE only behind the group."""
    async with some_components(tmp_path) as components:
        client = await filled(components, 4)
        other = await components.store.open(components.account(), "INBOX")

        async def expunge() -> None:
            await other.remove([Uid(2)])

        meanwhile: Callable[[], Awaitable[None]] = expunge
        if reading == 1:
            await meanwhile()
        else:
            after_read(components, 1, meanwhile)
        answers = await pipelined(client, *[b"%b %d BODY.PEEK[]" % (form, number) for number in (1, 2, 3, 4)])
        told = [any(b"EXPUNGE" in response for response in untagged) for untagged, _ in answers]
        bodies = [sum(b"BODY[]" in response for response in untagged) for untagged, _ in answers]
        if reading == 2:
            assert bodies == [1, 1, 1, 1] and told[:3] == [False] * 3
        else:
            assert bodies == [1, 0, 1, 1] and told[0] is False
            assert answers[1][1].startswith(b"OK" if form.startswith(b"UID") else b"NO [EXPUNGEISSUED]")
        assert all(b"words" in b"".join(untagged) for number, (untagged, _) in enumerate(answers) if bodies[number])
        untagged, answer = await client.command(b"NOOP")
        assert answer.startswith(b"OK") and (any(told) or untagged == [b"* 2 EXPUNGE"])
        assert (await client.command(b"FETCH 3 UID"))[0] == [b"* 3 FETCH (UID 4)"]


async def test_flags_changed_while_a_group_is_sent_are_told_behind_it(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await filled(components, 3)
        other = await components.store.open(components.account(), "INBOX")

        async def change() -> None:
            await other.set_flags([Uid(2)], Mode.ADD, ("$Work",))

        after_read(components, 1, change)
        answers = await pipelined(client, *[b"UID FETCH %d (FLAGS BODY.PEEK[])" % number for number in (1, 2, 3)])
        told = [any(b"* 2 FETCH" in response and b"$Work" in response for response in untagged) for untagged, _ in answers]
        assert told == [False, False, True]
