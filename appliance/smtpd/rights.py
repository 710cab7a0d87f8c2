"""Who may send what to whom: every refusal that is about rights (RFC 5321 §7, RFC 6409 §6.1).

Rules: a stranger reaches people of this server and nobody else, however the address is dressed up, save where an alias of
the server leads outside; a person who signed in may write to anybody. Nobody sends in another's name: not a stranger with
one of our addresses, not one of us with another's. What can find no way out of the server is refused at once.
An address this server made for a forwarded message's bounces (`Ways.original`) takes bounces only: to anybody else it is
nobody, so that it is no relay. Words and work are the same for every address that is refused; look-ups are in memory, so
the time is too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.reply import Reply

from .authors import ADDRESSES, Authors

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory, Resolution
    from appliance.accounts.send_quota import SendQuota
    from appliance.auth.identity import Identity
    from appliance.protocol.smtp.grammar import Path

SIGN_IN_FIRST = Reply(530, "5.7.0", ("Please sign in first.",))
NO_RELAY = Reply(550, "5.7.1", ("This server takes messages for its own people only; to send elsewhere, sign in on port 587 or 465.",))
NOBODY = Reply(550, "5.1.1", ("Nobody has this address here.",))
NO_ROUTE = Reply(550, "5.7.1", ("An address that carries another address or a route inside is not taken here.",))
NO_ROUTE_TEXT = Reply(550, "5.4.4", ("This server has no way to send messages to other servers.",))
LEADS_NOWHERE = Reply(550, "5.4.4", ("This address forwards to another server, and no way leads there.",))
ODD_DOMAIN = Reply(550, "5.1.2", ("This is not a domain of the Internet; look at what stands behind the @.",))
FORGED = Reply(550, "5.7.1", ("This sender's address belongs to this server; its people sign in on port 587 or 465 to send.",))
NOT_YOURS = Reply(553, "5.7.1", ("You cannot send with this sender address: messages to it do not come to you.",))
NOT_YOUR_FROM = Reply(553, "5.7.1", ("The From or Sender of this message names an address whose messages do not come to you.",))
UNREADABLE_FROM = Reply(553, "5.7.1", ("The From or Sender of this message cannot be read as addresses.",))

ROUTING = frozenset("%!@")
"""Characters that once carried a route inside a local part. Such a name is refused before anything looks it up, so that no
alias or catch-all ever makes this server look like a relay; no person here can have one."""
NO_INTERNET = frozenset({"localhost", "invalid", "onion", "local"})
"""Last labels no message can be sent to (RFC 6761, RFC 7686, RFC 6762)."""


class RemoteAddresses(Protocol):
    """How messages leave; `app` puts the real one together."""

    @property
    def holds(self) -> bool:
        """Can a message be held back here until its time, whoever it is for? (RFC 4865)"""
        ...

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        """Why a message of `sender`, a person of this server or None, cannot leave for `address`; None when it can."""
        ...

    def original(self, address: Address) -> Address | None:
        """Whose bounces an address of this server stands for that was made when a message was forwarded; None when it is none
        of ours, too old, or altered."""
        ...


@dataclass(frozen=True, slots=True)
class NoRemoteAddresses:
    """A server nothing leaves."""

    holds: bool = False

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        return NO_ROUTE_TEXT

    def original(self, address: Address) -> Address | None:
        return None


NO_REMOTE_ADDRESSES = NoRemoteAddresses()


def judge_sender(
    directory: "Directory", identity: "Identity | None", sender: Address | None, *, forged_own: str, others: str
) -> Reply | None:
    """May the envelope name this sender? `forged_own` and `others` are the settings' words. The null path always may."""
    if sender is None:
        return None
    if identity is None:
        return FORGED if forged_own == "refuse" and directory.is_local(sender.domain) else None
    return None if others == "accept" or directory.may_send_as(identity.account, sender) else NOT_YOURS


def judge_recipient(
    directory: "Directory", relay_check: RemoteAddresses, identity: "Identity | None", sender: Address | None, path: "Path",
    here: "Resolution | None" = None,
) -> Recipient | Reply:  # fmt: skip
    """Where a message of `sender` to this path goes, or why it goes nowhere. `here`: whom an address at the server itself
    leads to (`own_names`), None when it is at another place."""
    address = path.address
    if address is None:
        resolution = directory.postmaster()
    elif here is not None:
        if not ROUTING.isdisjoint(address.local):
            return NO_ROUTE
        resolution = here
    elif not directory.is_local(address.domain):
        if identity is None:
            return NO_RELAY
        return _odd(address) or relay_check.refusal(sender, address) or Recipient(address, outside=(address,))
    elif not ROUTING.isdisjoint(address.local):
        return NO_ROUTE
    else:
        if sender is None and (returned := _returned(directory, relay_check, address)) is not None:
            return returned
        resolution = directory.resolve(address)
    if not resolution.known:
        return NOBODY
    if not resolution.outside:
        return Recipient(address, resolution.accounts)
    for target in resolution.outside:
        if _odd(target) or relay_check.refusal(None if identity is None else sender, target):
            return LEADS_NOWHERE
    return Recipient(address, resolution.accounts, resolution.outside, forwarded=True)


def _odd(address: Address) -> Reply | None:
    """A domain no name service can know: one label, or a number at the end (RFC 3696 §2)."""
    domain = address.domain
    if domain.startswith("["):
        return None
    rest, dot, last = domain.rpartition(".")
    return None if dot and rest and not last.isdecimal() and last not in NO_INTERNET else ODD_DOMAIN


def _returned(directory: "Directory", relay_check: RemoteAddresses, address: Address) -> Recipient | None:
    """A bounce of a message this server forwarded goes back to whoever sent that message."""
    original = relay_check.original(address)
    if original is None:
        return None
    if directory.is_local(original.domain):
        found = directory.resolve(original)
        return Recipient(address, found.accounts) if found.accounts else None
    if _odd(original) or relay_check.refusal(None, original):
        return None
    return Recipient(address, outside=(original,), forwarded=True)


def judge_sending(sending: "SendQuota", identity: "Identity", recipients: int, now_mono_s: float, *, take: bool) -> Reply | None:
    """May this person send a message to so many addresses outside now? With `take` it counts."""
    wait_s = (sending.take if take else sending.wait_s)(identity.account, recipients, now_mono_s)
    if not wait_s:
        return None
    minutes = max(1, round(wait_s / 60))
    again = f"{minutes} minute{'s' * (minutes > 1)}" if minutes < 100 else f"{round(wait_s / 3600)} hours"
    return Reply(450, "4.7.1", (f"You have sent as much as this server lets one person send; please try again in {again}.",))


def judge_authors(directory: "Directory", identity: "Identity", authors: Authors, *, others: str) -> Reply | None:
    """May this person send a message with these From and Sender fields? (RFC 6409 §8.1)"""
    if others == "accept":
        return None
    if authors.unreadable:
        return UNREADABLE_FROM
    claimed = [address for address in authors.named if _means_a_mailbox(directory, address)]
    if all(directory.may_send_as(identity.account, address) for address in (*authors.addresses, *claimed)):
        return None
    return NOT_YOUR_FROM


def _means_a_mailbox(directory: "Directory", address: Address) -> bool:
    """Would a reader take these words of a display name for a mailbox? "Ann @ Home" and "@handle" are none."""
    return directory.is_local(address.domain) or ("." in address.domain and address.local != "")


def claims_our_accounts(directory: "Directory", sender: Address | None, authors: Authors) -> bool:
    """Does a stranger's message look as if one of us had written it? True also for an address of ours in a display name."""
    if sender is not None and directory.is_local(sender.domain):
        return True
    if any(directory.is_local(address.domain) for address in (*authors.addresses, *authors.named)):
        return True
    if len(authors.texts) > ADDRESSES:
        return True  # a header of hundreds of From fields has something to hide
    ours = [b"@" + domain.encode() for domain in directory.domains()]
    return any(domain in text for text in authors.texts for domain in ours)
