"""A made-up extension, in one file, contributes to every hook of IMAP; nothing else knows of it."""

import ast
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import appliance.imapd as imapd
from appliance.imapd.body_items import BodyItem, Prepared
from appliance.imapd.client import FlagItem
from appliance.imapd.commands.basic import nothing
from appliance.imapd.commands.table import CORE
from appliance.imapd.completion import Completion, ok
from appliance.imapd.contract import (
    AppendData,
    CommandSession,
    Enabling,
    FetchModifier,
    ImapCommand,
    ImapExtension,
    ImapState,
    ListReturn,
    SearchReturn,
    SearchReturnData,
    SelectParameter,
    SortKey,
    StatusItem,
    StoreModifier,
)
from appliance.imapd.extensions.table import EXTENSIONS
from appliance.imapd.matching import Matches
from appliance.imapd.plans import FetchPlan, StorePlan
from appliance.imapd.registry import KINDS, Registry
from appliance.imapd.row_items import plain
from appliance.imapd.service import ImapOptions, ImapService
from appliance.mail.query import Identified
from appliance.protocol.imap.search import SearchKey
from appliance.protocol.imap.sequence import encode_set
from appliance.protocol.imap.tokens import Tokens
from appliance.store.values import Want
from tests.support.services import Components, some_components

from .client import signed_in
from .picture import ok as succeeds

# --- the extension ------------------------------------------------------------------------------


def number(tokens: Tokens) -> int:
    tokens.space()
    return tokens.number()


async def after_select(session: CommandSession, parameters: Mapping[bytes, Any]) -> None:
    if b"XGREET" in parameters:
        await session.send(b"* OK [XGREETED] %d messages, greeted by %d.\r\n" % (len(session.selected.view), parameters[b"XGREET"]))  # type: ignore[union-attr]


async def descending(selected: Any, found: Matches) -> "array[int]":
    return array("q", [-uid for uid in found.uids])


def vanished(uids: Sequence[int], numbers: Sequence[int]) -> Iterable[bytes]:
    """As QRESYNC replaces EXPUNGE (RFC 7162 §3.2.10)."""
    return (b"* VANISHED %b\r\n" % encode_set(uids),)


async def prepare(message: Any, attribute: Any) -> Prepared:
    return Prepared(b"XOCTETS ", lambda client: client.send(b"%d" % message.octets))


def only_first(plan: FetchPlan, count: int) -> None:
    async def narrow(client: Any, selected: Any, positions: Any) -> Any:
        await client.send(b"* OK The first %d.\r\n" % count)
        return tuple((start, end) for start, end in ((start, min(end, count)) for start, end in positions) if start < end)

    plan.narrow.append(narrow)
    plan.keep.append(lambda row: row[0] != 1)
    plan.require(XUID)


def note(plan: StorePlan, value: int) -> None:
    plan.enables.append(b"X-ALL")
    plan.complete.append(lambda selected, result, uid: ok(b"Noted.", b"XNOTED %d" % value))


async def begin(session: CommandSession) -> None:
    await session.send(b"* OK [XBEGUN] From now on.\r\n")


async def apply(session: CommandSession, value: int) -> None:
    session.queue(b"* OK Before the mailbox is opened.\r\n")


async def twice_the_octets(appending: Any, incoming: Any) -> None:
    appending.tokens.space()
    octets = appending.tokens.astring()
    await incoming.write(octets + octets)


async def xlist(session: CommandSession, info: Any, value: None) -> None:
    session.queue(b"* XLIST %d\r\n" % info.messages)


async def run(session: CommandSession, arguments: None, uid: bool) -> Completion:
    return ok(b"Done.", b"XDONE")


XUID = plain(b"XUID", Want.FLAGS, b"XUID %d", "uid")
EXTENSION = ImapExtension(
    name="X-ALL",
    rfc="RFC 0",
    capability=lambda session: (b"X-ALL",),
    commands=(ImapCommand(b"XCOMMAND", ImapState.SIGNED_IN, nothing, run, rfc="RFC 0"),),
    enable=(
        Enabling(
            b"X-ALL",
            implies=(b"CONDSTORE",),
            begin=begin,
            flag_items=(FlagItem(b"XUID", lambda uid, flags, modseq: b"XUID %d" % uid),),
            expunge=vanished,
            expunge_code=lambda modseq: b"XEXPUNGED %d" % modseq,
            uid_always=True,
        ),
    ),
    fetch_items=(XUID, BodyItem(b"XOCTETS", False, prepare)),
    fetch_modifiers=(FetchModifier(b"XFIRST", number, only_first),),
    store_modifiers=(StoreModifier(b"XNOTE", number, note),),
    search_keys=(SearchKey(b"XODD", lambda words: Identified(tuple((uid, uid) for uid in range(1, 20, 2))), enables=b"X-ALL"),),
    search_returns=(
        SearchReturn(
            b"XSKIP",
            lambda found, skip: b"XSKIP (%d %b)" % (skip, encode_set(found[skip:])),
            lambda count, skip: range(skip, count),
            number,
        ),
    ),
    search_data=(SearchReturnData(b"XTOTAL", key=b"XODD", encode=lambda found, reported: b"%d" % len(reported)),),
    sort_keys=(SortKey(b"XDESCENDING", descending),),
    append_data=(AppendData(b"XTWICE", twice_the_octets),),
    list_returns=(ListReturn(b"XLIST", xlist),),
    status_items=(StatusItem(b"XSTATUS", lambda session, info: info.messages + 100),),
    select_parameters=(SelectParameter(b"XGREET", apply, number),),
    after_select=after_select,
    created_code=lambda info: b"XCREATED",
    response_codes=(b"XBEGUN", b"XCREATED", b"XDONE", b"XGREETED", b"XNOTED", b"XEXPUNGED"),
)  # fmt: skip


# --- the tests -----------------------------------------------------------------------------------


def with_extension(components: Components) -> None:
    family = components.family
    components.services["imap"] = ImapService(
        store=components.store,
        login=family.login,
        mechanisms=components.mechanisms,
        clock=family.clock,
        directory=family.accounts.directory,
        options=ImapOptions(),
        extensions=(*EXTENSIONS, EXTENSION),
    )


def test_it_contributes_to_every_hook() -> None:
    """A new hook needs a line above."""
    assert all(getattr(EXTENSION, name) for name in ImapExtension.__slots__)  # type: ignore[attr-defined]
    assert all(getattr(EXTENSION.enable[0], name) for name in Enabling.__slots__ if name not in ("utf8", "uid_only"))  # type: ignore[attr-defined]


async def test_every_hook_is_used(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        with_extension(components)
        for subject in range(4):
            await components.deliver(b"Subject: %d\r\n\r\n" % subject)
        client = await signed_in(components)
        assert (await succeeds(client, b"CAPABILITY"))[0].endswith(b" X-ALL")
        assert (await client.command(b"XCOMMAND"))[1] == b"OK [XDONE] Done."
        assert await succeeds(client, b"STATUS INBOX (XSTATUS MESSAGES)") == [b"* STATUS INBOX (XSTATUS 104 MESSAGES 4)"]
        assert await succeeds(client, b"APPEND Sent XTWICE abc") == []
        assert await succeeds(client, b"STATUS Sent (SIZE)") == [b"* STATUS Sent (SIZE 6)"]
        assert (await succeeds(client, b'LIST "" INBOX RETURN (XLIST)'))[1:] == [b"* XLIST 4"]
        untagged = await succeeds(client, b"SELECT INBOX (XGREET 7)")
        assert untagged[0] == b"* OK Before the mailbox is opened."
        assert untagged[-1] == b"* OK [XGREETED] 4 messages, greeted by 7."
        assert await succeeds(client, b"FETCH 1:4 XUID (XFIRST 3)") == [b"* OK The first 3.", b"* 2 FETCH (XUID 2)", b"* 3 FETCH (XUID 3)"]
        assert await succeeds(client, b"FETCH 4 (XOCTETS XUID)") == [b"* 4 FETCH (XUID 4 XOCTETS 14)"]
        assert await succeeds(client, b"SEARCH RETURN (XSKIP 1) ALL") == [b'* ESEARCH (TAG "t11") XSKIP (1 2:4)']
        assert await succeeds(client, b"SORT (XDESCENDING) UTF-8 ALL") == [b"* SORT 4 3 2 1"]


async def test_enabling_brings_what_it_implies_and_changes_the_updates(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        with_extension(components)
        for subject in range(4):
            await components.deliver(b"Subject: %d\r\n\r\n" % subject)
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        untagged, tagged = await client.command(b"STORE 1 (XNOTE 5) FLAGS (\\Flagged)")
        assert tagged == b"OK [XNOTED 5] Noted."
        assert [line.split(b"]")[0] for line in untagged[:2]] == [b"* OK [HIGHESTMODSEQ 5", b"* OK [XBEGUN"], "what it implies comes first"
        assert untagged[2].endswith(b" MODSEQ (6) XUID 1)"), "in the order in which they were enabled"
        await succeeds(other, b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        assert [
            line.endswith(b" MODSEQ (7) XUID %d)" % uid) for line, uid in zip(await succeeds(client, b"NOOP"), (2, 4), strict=True)
        ] == [True, True]
        untagged, tagged = await client.command(b"EXPUNGE")
        assert untagged == [b"* VANISHED 2,4"] and tagged.startswith(b"OK [XEXPUNGED ")
        assert await succeeds(other, b"NOOP") == [b"* 2 EXPUNGE", b"* 3 EXPUNGE"], "a session without it is sent EXPUNGE"
        assert await succeeds(other, b"SEARCH XODD") == [
            b"* OK [HIGHESTMODSEQ 8] The latest change sent.",
            b"* OK [XBEGUN] From now on.",
            b"* SEARCH 1 2 (XTOTAL 2)",
        ]
        assert await succeeds(other, b"ENABLE X-ALL") == [b"* ENABLED"]


@pytest.mark.parametrize(
    "command",
    [
        b"FETCH 1 UID (XFIRST)",
        b"FETCH 1 UID (XOTHER 1)",
        b"STORE 1 (XNOTE) FLAGS ()",
        b"SELECT INBOX (XGREET)",
        b"SEARCH RETURN (XSKIP) ALL",
    ],
)
async def test_a_value_that_is_missing_is_bad(tmp_path: Path, command: bytes) -> None:
    async with some_components(tmp_path) as components:
        with_extension(components)
        await components.deliver(b"\r\n")
        client = await signed_in(components, b"INBOX")
        assert (await client.command(command))[1].startswith(b"BAD ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_of_any_kind_is_found(kind: str) -> None:
    twice = ImapExtension("Y", "RFC 0", lambda session: (), **{kind: getattr(EXTENSION, kind)})
    with pytest.raises(ValueError, match="contributed twice"):
        Registry((CORE, *EXTENSIONS, EXTENSION, twice))


def test_an_implication_of_nothing_is_found() -> None:
    with pytest.raises(ValueError, match="X-NONE"):
        Registry((CORE, ImapExtension("Y", "RFC 0", lambda session: (), enable=(Enabling(b"Y", implies=(b"X-NONE",)),))))


def test_every_response_code_is_in_a_table() -> None:
    """Literal codes of Completions and SessionOver in the sources."""
    known = Registry((CORE, *EXTENSIONS)).response_codes
    used = set()
    for path in Path(imapd.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"ok": 1, "no": 1, "bad": 1, "Completion": 2, "SessionOver": 0}.get(node.func.id)
                if place is not None and len(node.args) > place:
                    literals = [
                        part.value
                        for part in ast.walk(node.args[place])
                        if isinstance(part, ast.Constant) and isinstance(part.value, bytes)
                    ]
                    used |= {literals[0].split()[0]} if literals and literals[0].strip() else set()
    assert used <= known, used - known
    assert len(used) > 10


def test_condstore_is_in_one_file() -> None:
    """No other file names it, its items or its modifiers."""
    package = Path(imapd.__path__[0])
    words = {b"CONDSTORE", b"MODSEQ", b"CHANGEDSINCE", b"UNCHANGEDSINCE", b"MODIFIED"}
    for path in package.rglob("*.py"):
        if path.name != "condstore.py":
            literals = {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
            }
            assert not any(word in literal for word in words for literal in literals), path.name
