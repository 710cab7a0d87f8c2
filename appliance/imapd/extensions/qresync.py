"""QRESYNC: a client that reconnects is sent what changed since, expunged messages as UIDs included (RFC 7162 §3.2).

Once enabled, which enables CONDSTORE as well, VANISHED takes the place of EXPUNGE. SELECT (QRESYNC ...) and UID FETCH (CHANGEDSINCE n
VANISHED) send VANISHED (EARLIER) with the UIDs expunged after a MODSEQ: from the runs the store keeps, or, when they do not reach back
so far, every UID below UIDNEXT that is not there (RFC 7162 §3.2.5.2).

Invariant: VANISHED (EARLIER) names no message that has a number in the session: those are sent by `sync`, as VANISHED, and change
numbers (RFC 7162 §3.2.10.1). What happens between SELECT's reading and the one here is sent by `sync` before the tagged OK.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.resync import KnownUids, last_match, parse_resync
from appliance.protocol.imap.sequence import contains, encode_ranges, encode_set, normal, parse_set, ranges_of

from ..contract import Enabling, FetchModifier, ImapExtension, SelectParameter
from ..errors import CommandRefused
from .condstore import WORD as CONDSTORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from appliance.protocol.imap.sequence import Ranges

    from ..client import ImapClient
    from ..contract import CommandSession
    from ..plans import FetchPlan
    from ..selected import Selected

WORD = b"QRESYNC"
RANGES_OF_ONE = 500
"""Ranges in one VANISHED response: a line stays below 12 kB."""


@dataclass(frozen=True, slots=True)
class Since:
    """What a client knows: the mailbox up to MODSEQ `modseq`, of it the UIDs `known`, of them all up to `settled`."""

    modseq: int
    known: "Ranges"
    settled: int = 0


# --- VANISHED ---------------------------------------------------------------------------------


def encode_vanished(uids: "Sequence[int]", numbers: "Sequence[int]") -> "Iterable[bytes]":
    """`* VANISHED 405,407,410:425` (RFC 7162 §3.2.10.2)."""
    return (b"* VANISHED " + encode_set(uids) + b"\r\n",)


async def send_earlier(client: "ImapClient", selected: "Selected", since: Since, expunged: "Sequence[int]") -> None:
    """VANISHED (EARLIER) for what is not in the view and was known to the client (RFC 7162 §3.2.10.1)."""
    in_view = selected.view.seq_of
    gone = [uid for uid in expunged if uid > since.settled and contains(since.known, uid) and not in_view(uid)]
    ranges = ranges_of(gone)
    for start in range(0, len(ranges), RANGES_OF_ONE):
        await client.send(b"* VANISHED (EARLIER) ", encode_ranges(ranges[start : start + RANGES_OF_ONE]), b"\r\n")


# --- SELECT (QRESYNC ...) ---------------------------------------------------------------------


async def expect_enabled(session: "CommandSession", known: KnownUids) -> None:
    """RFC 7162 §3.2.5: BAD unless the client enabled it."""
    if WORD not in session.enabled:
        raise MisuseError("ENABLE QRESYNC comes before SELECT (QRESYNC ...)")
    if known.matches and session.updates.uid_only:
        raise CommandRefused(b"UIDREQUIRED", "UIDONLY is enabled: what is known is named by UID alone")


async def after_select(session: "CommandSession", parameters: "Mapping[bytes, Any]") -> None:
    """Send what changed; nothing when UIDVALIDITY is another, since the client then knows nothing (RFC 7162 §3.2.5)."""
    known: KnownUids | None = parameters.get(WORD)
    selected = session.selected
    if known is None or selected is None or known.uid_validity != selected.mailbox.info.uid_validity:
        return
    view = selected.view
    uids = known.uids or ((1, max(view.uid_next - 1, 1)),)
    since = Since(known.modseq, normal(uids, 0), last_match(known.matches, view.uids))
    changes = await selected.mailbox.changes(since.modseq)  # type: ignore[arg-type]
    await send_earlier(session, selected, since, changes.expunged)
    await selected.send_keyword_names(session, changes.keywords)
    await selected.send_changed(session, [row for row in changes.flags if contains(since.known, row[0])])


# --- UID FETCH (CHANGEDSINCE n VANISHED) ------------------------------------------------------


def vanished(plan: "FetchPlan", value: None) -> None:
    """VANISHED (RFC 7162 §3.2.6)."""

    def check(client: "ImapClient") -> None:
        if WORD not in client.enabled:
            raise MisuseError("ENABLE QRESYNC comes before FETCH (VANISHED)")
        if not plan.uid or plan.since is None:
            raise MisuseError("VANISHED belongs to UID FETCH and stands beside CHANGEDSINCE")

    async def narrow(client: "ImapClient", selected: "Selected", positions: "Ranges") -> "Ranges":
        if plan.messages != b"$":  # a saved result names messages that are there
            known = normal(parse_set(plan.messages), selected.view.uid_next - 1)
            changes = await selected.mailbox.changes(plan.since)  # type: ignore[arg-type]
            await send_earlier(client, selected, Since(plan.since or 0, known), changes.expunged)
        return positions

    plan.checks.append(check)
    plan.narrow.insert(0, narrow)


EXTENSION = ImapExtension(
    name="QRESYNC",
    rfc="RFC 7162",
    capability=lambda session: (WORD,),
    enable=(Enabling(WORD, implies=(CONDSTORE,), expunge=encode_vanished, uid_always=True),),
    fetch_modifiers=(FetchModifier(b"VANISHED", lambda tokens: None, vanished),),
    select_parameters=(SelectParameter(WORD, expect_enabled, parse_resync),),
    after_select=after_select,
)
