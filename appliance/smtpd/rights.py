"""Who may send what to whom: every refusal that is about rights (RFC 5321 §7, RFC 6409 §6.1).

Rules: a stranger reaches people of this house and nobody else, however the address is dressed up; a person who signed in
may write to anybody. Nobody sends in another's name: not a stranger with one of our addresses, not one of us with another's.
Words and work are the same for every address that is refused; look-ups are in memory, so the time is too.
Known gap: until the queue is built a letter for another house is refused, never silently kept.
"""

from typing import TYPE_CHECKING

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.reply import Reply

from .authors import ADDRESSES, Authors

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory
    from appliance.auth.identity import Identity
    from appliance.protocol.smtp.grammar import Path

SIGN_IN_FIRST = Reply(530, "5.7.0", ("Please sign in first.",))
NO_RELAY = Reply(550, "5.7.1", ("This house takes letters for its own people only; to send elsewhere, sign in on port 587 or 465.",))
NOBODY = Reply(550, "5.1.1", ("Nobody has this address here.",))
NO_ROUTE = Reply(550, "5.7.1", ("An address that carries another address or a route inside is not taken here.",))
NOT_BUILT = Reply(550, "5.3.3", ("Sending to other houses is not built in yet; nothing was sent to this address.",))
LEADS_OUT = Reply(550, "5.3.3", ("This address forwards to another house, which is not built in yet.",))
FORGED = Reply(550, "5.7.1", ("This sender's address belongs to this house; its people sign in on port 587 or 465 to send.",))
NOT_YOURS = Reply(553, "5.7.1", ("You cannot send with this sender address: letters to it do not come to you.",))
NOT_YOUR_FROM = Reply(553, "5.7.1", ("The From or Sender of this letter names an address whose letters do not come to you.",))
UNREADABLE_FROM = Reply(553, "5.7.1", ("The From or Sender of this letter cannot be read as addresses.",))

ROUTING = frozenset("%!@")
"""Characters that once carried a route inside a local part. Such a name is refused before anything looks it up, so that no
alias or catch-all ever makes this house look like a relay; no person here can have one."""


def judge_sender(
    directory: "Directory", identity: "Identity | None", sender: Address | None, *, forged_own: str, others: str
) -> Reply | None:
    """May the envelope name this sender? `forged_own` and `others` are the settings' words. The null path always may."""
    if sender is None:
        return None
    if identity is None:
        return FORGED if forged_own == "refuse" and directory.is_local(sender.domain) else None
    return None if others == "accept" or directory.may_send_as(identity.person, sender) else NOT_YOURS


def judge_recipient(directory: "Directory", identity: "Identity | None", path: "Path") -> Recipient | Reply:
    """Where a letter to this path goes, or why it goes nowhere."""
    address = path.address
    if address is None:
        resolution = directory.postmaster()
    elif not directory.is_local(address.domain):
        return NO_RELAY if identity is None else NOT_BUILT
    elif not ROUTING.isdisjoint(address.local):
        return NO_ROUTE
    else:
        resolution = directory.resolve(address)
    if not resolution.known:
        return NOBODY
    if resolution.outside:
        return LEADS_OUT
    return Recipient(address, resolution.people)


def judge_authors(directory: "Directory", identity: "Identity", authors: Authors, *, others: str) -> Reply | None:
    """May this person send a letter with these From and Sender fields? (RFC 6409 §8.1)"""
    if others == "accept":
        return None
    if authors.unreadable:
        return UNREADABLE_FROM
    if all(directory.may_send_as(identity.person, address) for address in authors.addresses):
        return None
    return NOT_YOUR_FROM


def claims_our_people(directory: "Directory", sender: Address | None, authors: Authors) -> bool:
    """Does a stranger's letter look as if one of us had written it? True also for an address of ours in a display name."""
    if sender is not None and directory.is_local(sender.domain):
        return True
    if any(directory.is_local(address.domain) for address in authors.addresses):
        return True
    if len(authors.texts) > ADDRESSES:
        return True  # a header of hundreds of From fields has something to hide
    ours = [b"@" + domain.encode() for domain in directory.domains()]
    return any(domain in text for text in authors.texts for domain in ours)
