"""Forced interleavings: another session expunges or changes flags between two steps of one command (RFC 2180 §4, RFC 9051 §6.4.6,
§7.5.1)."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.mail.ids import Uid
from appliance.store.body_readers import FileBody
from appliance.store.mailbox import Mailbox
from appliance.store.values import Mode
from tests.support.services import Components, some_components

from .client import Client, signed_in
from .picture import Picture, ok
from .test_two_sessions import held_back

MESSAGE = b'Subject: %d\r\nContent-Type: multipart/mixed; boundary="=b"\r\n\r\n--=b\r\n\r\nwords\r\n--=b--\r\n'
SECTIONS = (
    b"BODY[]", b"BODY.PEEK[]", b"BODY[TEXT]", b"BODY[HEADER]", b"BODY[HEADER.FIELDS (SUBJECT)]", b"BODY[HEADER.FIELDS.NOT (SUBJECT)]",
    b"BODY[1]", b"BODY[1.MIME]", b"BODY[9]", b"BODY[]<0.5>", b"BODY[]<5000.5>", b"BODY[TEXT]<2.4>", b"BINARY[]", b"BINARY[1]",
    b"BINARY.PEEK[1]<1.3>", b"BINARY.SIZE[1]", b"BINARY.SIZE[]", b"RFC822", b"RFC822.TEXT", b"RFC822.HEADER",
    b"(FLAGS BODY.PEEK[HEADER] BODY.PEEK[TEXT])", b"(UID ENVELOPE BODYSTRUCTURE BODY[1])", b"(RFC822.SIZE BINARY.SIZE[1] BODY.PEEK[])",
)  # fmt: skip
Meanwhile = Callable[[], Awaitable[object]]


def after_read(components: Components, number: int, meanwhile: Meanwhile) -> None:
    """Call `meanwhile` once, after so many reads of the database from now."""
    writer = components.family.writer
    plain = writer.read

    async def read(work: Any) -> Any:
        nonlocal number
        result = await plain(work)
        number -= 1
        if not number:
            writer.read = plain  # type: ignore[method-assign]
            await meanwhile()
        return result

    writer.read = read  # type: ignore[method-assign]


def around_write(components: Components, *, before: Meanwhile | None = None, after: Meanwhile | None = None) -> None:
    """The next durable change happens between `before` and `after`."""
    writer = components.family.writer
    plain = writer.write

    async def write(work: Any, *, octets: int = 0) -> Any:
        writer.write = plain  # type: ignore[method-assign]
        if before is not None:
            await before()
        result = await plain(work, octets=octets)
        if after is not None:
            await after()
        return result

    writer.write = write  # type: ignore[method-assign]


async def three(components: Components) -> tuple[Client, Mailbox]:
    """A client that knows three messages, and another session."""
    for number in range(3):
        await components.deliver(MESSAGE % number, flags=("\\Seen",))
    return await signed_in(components, b"INBOX"), await components.store.open(components.account(), "INBOX")


# --- FETCH ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", SECTIONS)
async def test_octets_of_the_message_or_no_response(tmp_path: Path, item: bytes) -> None:
    """Expunged after its row was read and before its octets were (RFC 2180 §4.1.2)."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        whole = await ok(client, b"FETCH 1:3 " + item)
        after_read(components, 1, lambda: other.remove([Uid(2)]))
        sent, tagged = await client.command(b"FETCH 1:3 " + item)
        assert [line for line in sent if b" FETCH " in line] == [whole[0], whole[2]]
        assert tagged.startswith(b"NO [EXPUNGEISSUED] ") and b"have been expunged" in tagged
        assert await ok(client, b"NOOP") == [b"* 2 EXPUNGE"]
        after_read(components, 1, lambda: other.remove([Uid(3)]))
        sent = await ok(client, b"UID FETCH 3 " + item)
        assert sent == [b"* 2 EXPUNGE"], "a UID that does not exist is no error (RFC 9051 §6.4.9)"


@pytest.mark.parametrize("item", [b"ENVELOPE", b"BODYSTRUCTURE", b"BODY", b"(UID ENVELOPE BODY.PEEK[])", b"BODY.PEEK[HEADER]"])
async def test_redescribed_facts_or_no_response(tmp_path: Path, item: bytes) -> None:
    """A row described by an older scanner is described again in a second read; the message is expunged by then."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        whole = await ok(client, b"FETCH 1:3 " + item)
        forget = "UPDATE message_data SET described_by = 0, envelope = x'', bodystructure = x'', parts = x''"
        await components.family.writer.write(lambda transaction: transaction.execute(forget))
        after_read(components, 1, lambda: other.remove([Uid(2)]))
        sent, tagged = await client.command(b"FETCH 1:3 " + item)
        assert sent == [whole[0], whole[2]]
        assert tagged.startswith(b"NO [EXPUNGEISSUED]")
        await components.family.writer.write(lambda transaction: transaction.execute(forget))
        after_read(components, 2, lambda: other.remove([Uid(3)]))
        sent = await ok(client, b"UID FETCH 3 " + item)
        assert sent[-2:] == [b"* 2 EXPUNGE", b"* 2 EXPUNGE"] and sent[:-2] in ([], [whole[2]]), "whichever read it was"


@pytest.mark.parametrize("item", [b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[]<0.10>", b"BINARY.SIZE[]", b"BODY.PEEK[]<9999999.1>"])
async def test_a_large_message_in_its_file_is_complete_or_not_sent(tmp_path: Path, item: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expunged before its file is opened: no response. Afterwards: all its octets, though the file is unlinked."""
    octets = b"Subject: large\r\n\r\n" + b"".join(b"%064d\r\n" % (number * 7919**9 % 10**60) for number in range(80_000))
    async with some_components(tmp_path) as components:
        await components.deliver(octets)
        await components.deliver(octets + b"2\r\n")
        client, other = await signed_in(components, b"INBOX"), await components.store.open(components.account(), "INBOX")
        [whole] = await ok(client, b"FETCH 1 " + item)
        [second] = await ok(client, b"FETCH 2 " + item)
        plain = FileBody.open

        async def late(self: FileBody) -> None:
            monkeypatch.setattr(FileBody, "open", early)
            await other.remove([Uid(1)])
            await plain(self)

        async def early(self: FileBody) -> None:
            monkeypatch.setattr(FileBody, "open", plain)
            await plain(self)
            await other.remove([Uid(2)])

        monkeypatch.setattr(FileBody, "open", late)
        sent, tagged = await client.command(b"FETCH 1:2 " + item)
        assert whole != second
        assert [line for line in sent if b" FETCH " in line] == [second]
        assert tagged.startswith(b"NO [EXPUNGEISSUED]")
        assert await ok(client, b"NOOP") == [b"* 1 EXPUNGE", b"* 1 EXPUNGE"]


async def test_seen_by_fetch_with_condstore_is_of_one_read_transaction(tmp_path: Path) -> None:
    """\\Seen is committed, then another session changes flags, then the rows are sent: in the latest state, never an older one."""
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE % 1)
        client = await signed_in(components)
        await ok(client, b"SELECT INBOX (CONDSTORE)")
        other = await components.store.open(components.account(), "INBOX")
        around_write(components, after=lambda: other.set_flags([Uid(1)], Mode.ADD, ("new", "\\Flagged")))
        sent = await ok(client, b"FETCH 1 BODY[TEXT]<0.2>")
        assert sent[0].startswith(b"* FLAGS (") and b"new" in sent[0], "the names come before the row (RFC 9051 §7.3.5)"
        [line] = [line for line in sent if b" FETCH " in line]
        assert line.startswith(b"* 1 FETCH (FLAGS (\\Flagged \\Seen new \\Recent) MODSEQ (4) BODY[TEXT]<0> {2}")


# --- STORE ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [b"", b"UID "])
@pytest.mark.parametrize("silent", [b"", b".SILENT"])
@pytest.mark.parametrize("condstore", [b"", b" (CONDSTORE)"])
async def test_the_last_flags_sent_are_the_committed_ones(tmp_path: Path, form: bytes, silent: bytes, condstore: bytes) -> None:
    """Another session changes flags right after this one's STORE is committed and before it is sent."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await ok(client, b"SELECT INBOX" + condstore)
        picture = Picture([1, 2, 3])
        around_write(components, after=lambda: other.set_flags([Uid(1)], Mode.REMOVE, ("\\Answered", "\\Seen")))
        sent = await ok(client, form + b"STORE 1:2 +FLAGS%b (\\Answered)" % silent)
        modseqs = [int(found[1]) for line in sent if line.startswith(b"* 1 ") and (found := re.search(rb"MODSEQ \((\d+)\)", line))]
        assert modseqs == sorted(modseqs) and len(modseqs) == bool(condstore)
        picture.feed(sent)
        assert picture.flags[1] == frozenset(), "as the other session left it"
        if not silent:
            assert picture.flags[2] == {b"\\Answered", b"\\Seen"}
        assert not any(b" FETCH " in line for line in await ok(client, b"NOOP"))


@pytest.mark.parametrize("item", [b"+FLAGS.SILENT (\\Answered)", b"FLAGS.SILENT (\\Answered \\Flagged \\Seen)"])
@pytest.mark.parametrize("when", ["before the command", "before the change"])
async def test_silent_after_a_change_by_another_session(tmp_path: Path, when: str, item: bytes) -> None:
    """RFC 3501 §6.4.6: a change by another session is sent, with the own change included; the other messages stay silent."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)

        async def outside() -> None:
            await other.set_flags([Uid(2)], Mode.ADD, ("\\Flagged",))

        if when == "before the command":
            await outside()
        else:
            around_write(components, before=outside)
        assert await ok(client, b"STORE 1:3 " + item) == [b"* 2 FETCH (FLAGS (\\Answered \\Flagged \\Seen \\Recent))"]
        assert await ok(client, b"STORE 1:3 -FLAGS.SILENT (\\Seen)") == [], "alone it is silent"


async def test_store_by_number_of_an_expunged_message(tmp_path: Path) -> None:
    """RFC 2180 §4.2.1; the rest is stored. With UNCHANGEDSINCE the one code there is room for is MODIFIED (RFC 7162 §3.1.3)."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await other.remove([Uid(2)])
        sent, tagged = await client.command(b"STORE 1:2 +FLAGS (\\Flagged)")
        assert sent == [b"* 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))"]
        assert tagged.startswith(b"NO [EXPUNGEISSUED] ") and b"have been deleted" in tagged
        _, tagged = await client.command(b"STORE 1:3 (UNCHANGEDSINCE 4) FLAGS ()")
        assert tagged.startswith(b"NO [MODIFIED 1] ") and b"have been deleted" in tagged
        assert await ok(client, b"UID STORE 2 FLAGS ()") == [b"* 2 EXPUNGE"]


# --- SEARCH --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"SEEN", b"ALL", b"TEXT words", b"HEADER X-None {0+}\r\n", b"RETURN (COUNT) SMALLER 9999", b"1:3"])
async def test_search_reports_that_messages_were_missing(tmp_path: Path, key: bytes) -> None:
    """RFC 5530 §3: OK [EXPUNGEISSUED], whether the message was expunged before the command or while its rows were read."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        assert (await client.command(b"SEARCH " + key))[1].startswith(b"OK Searched")
        await other.remove([Uid(1)])
        sent, tagged = await client.command(b"SEARCH " + key)
        assert tagged.startswith(b"OK [EXPUNGEISSUED]") and len(sent) == 1
        assert await ok(client, b"NOOP") == [b"* 1 EXPUNGE"]
        assert (await client.command(b"SEARCH SEEN"))[1].startswith(b"OK Searched")


@pytest.mark.parametrize(("key", "found"), [(b"SEEN", b" 2 3"), (b"UNSEEN", b" 1"), (b"1:2 SEEN LARGER 1", b" 2")])
async def test_search_sends_the_flags_it_decided_by(tmp_path: Path, key: bytes, found: bytes) -> None:
    """A reading may see a commit of which this process has not heard yet: the flags it changed are sent with the result."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        writer, plain, shared = components.family.writer, components.family.writer.read, other._held()

        async def read(work: Any) -> Any:
            writer.read = plain  # type: ignore[method-assign]
            known = shared.newest
            await other.set_flags([Uid(1)], Mode.REMOVE, ("\\Seen",))
            result = await plain(work)
            shared.newest = known  # the news is still on its way
            return result

        writer.read = read  # type: ignore[method-assign]
        sent, tagged = await client.command(b"SEARCH " + key)
        assert sent == [b"* SEARCH" + found, b"* 1 FETCH (UID 1 FLAGS (\\Recent))"] and tagged.startswith(b"OK Searched")


async def test_search_of_a_body_that_is_expunged_meanwhile(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        after_read(components, 1, lambda: other.remove([Uid(2)]))
        sent, tagged = await client.command(b"SEARCH TEXT words")
        assert (sent, tagged[:19]) == ([b"* SEARCH 1 3"], b"OK [EXPUNGEISSUED] ")
        after_read(components, 1, lambda: other.remove([Uid(3)]))
        sent, tagged = await client.command(b"UID SEARCH TEXT words")
        assert sent == [b"* SEARCH 1", b"* 2 EXPUNGE", b"* 2 EXPUNGE"]


# --- COPY and MOVE -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("messages", [b"1", b"1:3", b"3,1", b"*:1"])
async def test_copy_by_number_is_complete_or_nothing(tmp_path: Path, messages: bytes, known: bool) -> None:
    """RFC 9051 §6.4.7, RFC 2180 §4.4.1; `known`: the server has noticed before, and may not have sent EXPUNGE (RFC 9051 §7.5.1)."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await other.remove([Uid(1)])
        if known:
            await client.command(b"FETCH 1:3 FLAGS")
        sent, tagged = await client.command(b"COPY %b Archive" % messages)
        assert tagged.startswith(b"NO [EXPUNGEISSUED] ") and b"have been expunged" in tagged
        assert sent == [b"* 1 EXPUNGE"]
        archive = await components.store.find(components.account(), "Archive")
        assert (archive.messages, archive.uid_next) == (0, 1)
        assert (await client.command(b"COPY 1:2 Archive"))[1].endswith(b" 2:3 1:2] Copied.")


@pytest.mark.parametrize("command", [b"UID COPY 1:3 Archive", b"COPY $ Archive", b"UID MOVE 1:3 Archive", b"MOVE $ Archive"])
async def test_sets_of_uids_name_what_exists(tmp_path: Path, command: bytes) -> None:
    """RFC 9051 §6.4.9; a saved result loses what is expunged (RFC 5182 §2.1)."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await ok(client, b"UID SEARCH RETURN (SAVE) ALL")
        await other.remove([Uid(2)])
        sent, tagged = await client.command(command)
        assert tagged.startswith(b"OK ") and re.search(rb"COPYUID \d+ 1,3 1:2", sent[0] + tagged)
        assert (await components.store.find(components.account(), "Archive")).messages == 2
        await other.remove([Uid(1), Uid(3)])
        assert (await client.command(command.replace(b"1:3", b"1,3")))[1].startswith(b"OK ")


async def test_move_by_number_moves_the_rest(tmp_path: Path) -> None:
    """RFC 6851 §3.3: each message is moved or unaffected, also with NO."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await other.remove([Uid(2)])
        sent, tagged = await client.command(b"MOVE 1:2 Archive")
        assert re.fullmatch(rb"\* OK \[COPYUID \d+ 1 1\] Moved\.", sent[0]) and sent[1:] == [b"* 1 EXPUNGE", b"* 1 EXPUNGE"]
        assert tagged.startswith(b"NO [EXPUNGEISSUED] ") and b"have been expunged" in tagged
        await other.remove([Uid(3)])
        sent, tagged = await client.command(b"MOVE 1 Archive")
        assert sent == [b"* 1 EXPUNGE"] and tagged.startswith(b"NO [EXPUNGEISSUED] ")
        assert (await components.store.find(components.account(), "Archive")).messages == 1


# --- CONDSTORE, enabled by each command ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        b"ENABLE CONDSTORE", b"FETCH 1 (MODSEQ)", b"FETCH 1 (UID) (CHANGEDSINCE 1)", b"UID FETCH 99 (UID) (CHANGEDSINCE 0)",
        b"STATUS Archive (HIGHESTMODSEQ)", b'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))', b"SEARCH MODSEQ 0",
        b"STORE 3 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)", b"UID STORE 99 (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)",
    ],
)  # fmt: skip
async def test_each_command_that_enables_condstore_sends_lazy_seen_with_its_modseq(tmp_path: Path, command: bytes) -> None:
    """\\Seen set by FETCH was sent without MODSEQ and is not committed yet: a client that enables CONDSTORE now must still get its
    MODSEQ."""
    async with some_components(tmp_path) as components:
        for number in range(3):
            await components.deliver(MESSAGE % number)
        held_back(components)
        client = await signed_in(components, b"INBOX")
        assert (await ok(client, b"FETCH 1 BODY[TEXT]<0.2>"))[0].startswith(b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY")
        sent, tagged = await client.command(command)
        assert tagged.startswith(b"OK")
        assert b"* OK [HIGHESTMODSEQ 4] The latest change sent." in sent
        assert b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (5))" in sent
        assert not any(b"MODSEQ (2)" in line and b"Seen" in line for line in sent), "a MODSEQ from before the change"
        assert (await client.command(command))[0].count(b"* OK [HIGHESTMODSEQ 5] The latest change sent.") == 0, "sent once"


async def test_select_with_condstore_begins_anew(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE % 1)
        client = await signed_in(components, b"INBOX")
        sent = await ok(client, b"SELECT INBOX (CONDSTORE)")
        assert sum(b"HIGHESTMODSEQ" in line for line in sent) == 1
        assert await ok(client, b"STORE 1 +FLAGS.SILENT (\\Flagged)") == [b"* 1 FETCH (MODSEQ (3))"]


# --- keywords whose bit gets another name ----------------------------------------------------------------------------


async def all_named(components: Components, client: Client) -> None:
    """57 names in the table, none in use; this client knows them."""
    for start in range(0, 57, 19):
        await ok(client, b"STORE 1 +FLAGS.SILENT (%b)" % b" ".join(b"k%d" % number for number in range(start, start + 19)))
    await ok(client, b"STORE 1 FLAGS.SILENT (\\Seen)")


def new_name(sent: list[bytes]) -> None:
    assert sent[0].startswith(b"* FLAGS (") and b" new" in sent[0] and b" k0 " not in sent[0]


@pytest.mark.parametrize("command", [b"FETCH 1:3 FLAGS", b"UID FETCH 2 (FLAGS BODY.PEEK[1])", b"FETCH 2 BODY[1]", b"SEARCH SEEN"])
@pytest.mark.parametrize("when", ["before", "between"])
async def test_flags_is_sent_before_a_bit_is_renamed(tmp_path: Path, command: bytes, when: str) -> None:
    """Another session's new keyword takes k0's bit before the command, or after the command's first reading."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await all_named(components, client)

        async def reuse() -> None:
            await other.set_flags([Uid(2)], Mode.ADD, ("new",))

        if when == "before":
            await reuse()
        else:
            after_read(components, 1, reuse)
        sent = await ok(client, command) + await ok(client, b"NOOP")
        fetched = [line for line in sent if b" FETCH " in line]
        assert not any(b"k0" in line for line in fetched)
        first = next(place for place, line in enumerate(sent) if line.startswith(b"* 2 FETCH") and b"new" in line)
        assert any(line.startswith(b"* FLAGS ") for line in sent[:first])
        new_name([line for line in sent if line.startswith(b"* FLAGS ")])


@pytest.mark.parametrize("key", [b"KEYWORD k0", b"KEYWORD new", b"UNKEYWORD k0"])
async def test_search_uses_the_keyword_names_of_the_row(tmp_path: Path, key: bytes) -> None:
    """The keyword names sent to this session are older than the rows it searches."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await all_named(components, client)
        await other.set_flags([Uid(2)], Mode.ADD, ("new",))
        found = {b"KEYWORD k0": b"* SEARCH", b"KEYWORD new": b"* SEARCH 2", b"UNKEYWORD k0": b"* SEARCH 1 2 3"}[key]
        assert (await ok(client, b"SEARCH " + key))[0] == found


async def test_flags_sent_are_not_equal_to_the_same_bits_under_another_name(tmp_path: Path) -> None:
    """k0 was sent with a lazy \\Seen; the bit is taken off, renamed and set again: the same number, not the same flags."""
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE % 1)
        client, other = await signed_in(components, b"INBOX"), await components.store.open(components.account(), "INBOX")
        await all_named(components, client)
        await ok(client, b"STORE 1 FLAGS.SILENT (k0)")
        held_back(components)

        async def overtaken() -> None:
            await other.set_flags([Uid(1)], Mode.REMOVE, ("k0",))
            await other.set_flags([Uid(1)], Mode.ADD, ("new",))

        assert b"FLAGS (\\Seen k0 \\Recent)" in (await ok(client, b"FETCH 1 BODY[1]"))[0]
        await overtaken()
        sent = await ok(client, b"NOOP")
        new_name(sent)
        assert sent[-1] == b"* 1 FETCH (UID 1 FLAGS (\\Seen new \\Recent))"


@pytest.mark.parametrize("condstore", [b"", b" (CONDSTORE)"])
@pytest.mark.parametrize("stored", [b"\\Flagged", b"mine"])
async def test_store_names_the_keywords_of_a_message_expunged_at_once(tmp_path: Path, stored: bytes, condstore: bytes) -> None:
    """Right after the STORE message 1 is expunged and its k0 renamed: its flags are sent whole, by the names of the STORE's commit."""
    async with some_components(tmp_path) as components:
        client, other = await three(components)
        await all_named(components, client)
        await ok(client, b"STORE 1 +FLAGS.SILENT (k0)")
        await ok(client, b"SELECT INBOX" + condstore)

        async def overtaken() -> None:
            await other.remove([Uid(1)])
            await other.set_flags([Uid(2)], Mode.ADD, ("new",))

        around_write(components, after=overtaken)
        sent = await ok(client, b"STORE 1:3 +FLAGS (%b)" % stored)
        names, reported = {b"\\Seen", b"\\Flagged", b"k0"}, dict[int, set[bytes]]()
        for line in sent:
            flags = set(re.split(rb"FLAGS \(|\)", line)[1].split()) - {b"\\Recent"}
            if line.startswith(b"* FLAGS "):
                names = flags
            elif b" FETCH " in line:
                number = int(line.split()[1])
                assert number not in reported and flags <= names
                reported[number] = flags
        assert reported == {1: {b"\\Seen", b"k0", stored}, 2: {b"\\Seen", b"new", stored}, 3: {b"\\Seen", stored}}
        assert b"new" in names and b"k0" not in names
        assert b"* 1 EXPUNGE" in await ok(client, b"NOOP")


async def test_silent_is_not_silent_when_the_same_bits_have_another_name(tmp_path: Path) -> None:
    """k0 was sent with a lazy \\Seen and its bit renamed before the STORE, whose transaction finds the very bits that were sent."""
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE % 1)
        client, other = await signed_in(components, b"INBOX"), await components.store.open(components.account(), "INBOX")
        await all_named(components, client)
        await ok(client, b"STORE 1 FLAGS.SILENT (k0)")
        held_back(components)
        assert b"FLAGS (\\Seen k0 \\Recent)" in (await ok(client, b"FETCH 1 BODY[1]"))[0]

        async def overtaken() -> None:
            await other.set_flags([Uid(1)], Mode.REMOVE, ("k0",))
            await other.set_flags([Uid(1)], Mode.ADD, ("new",))

        around_write(components, before=overtaken)
        sent = await ok(client, b"STORE 1 +FLAGS.SILENT (\\Flagged)")
        new_name(sent)
        assert sent[-1] == b"* 1 FETCH (FLAGS (\\Flagged \\Seen new \\Recent))"


async def test_a_message_goes_without_the_keyword_there_is_no_room_for(tmp_path: Path) -> None:
    """57 in use: APPEND, COPY and MOVE work; only STORE is refused, which PERMANENTFLAGS announces."""
    async with some_components(tmp_path) as components:
        client, _ = await three(components)
        await all_named(components, client)
        await ok(client, b"STORE 1 FLAGS.SILENT (%b)" % b" ".join(b"k%d" % number for number in range(57)))
        assert b"\\*" not in (await ok(client, b"SELECT INBOX"))[1], "PERMANENTFLAGS"
        sent, tagged = await client.command(b"STORE 2 +FLAGS (new)")
        assert (sent, tagged[:11]) == ([], b"NO [LIMIT] ")
        await ok(client, b"APPEND INBOX (new k5 \\Flagged) {2+}\r\n\r\n")
        assert (await ok(client, b"FETCH 4 FLAGS"))[0].startswith(b"* 4 FETCH (FLAGS (\\Flagged k5")
        await ok(client, b"APPEND Archive (new) {2+}\r\n\r\n")
        elsewhere = await signed_in(components, b"Archive")
        await ok(elsewhere, b"COPY 1 INBOX")
        await ok(elsewhere, b"MOVE 1 INBOX")
        await ok(client, b"NOOP")
        assert await ok(client, b"SEARCH KEYWORD new") == [b"* SEARCH"]
        await ok(client, b"STORE 1 -FLAGS.SILENT (k9)")
        assert any(b"\\*" in line for line in await ok(client, b"SELECT INBOX")), "room again"
        assert (await ok(client, b"STORE 2 FLAGS (new)"))[-1] == b"* 2 FETCH (FLAGS (new))"
