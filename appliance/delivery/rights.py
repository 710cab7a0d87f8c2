"""Relay and sender policy: every refusal that is about rights (RFC 5321 §7, RFC 6409 §6.1).

Rules: an unauthenticated client reaches accounts of this server and nothing else, whatever the form of the address, save where
an alias of the server, or what a user forwards to, is outside; an authenticated user may send to any address. What a user
forwards to and cannot be reached is passed over: the message stays. Neither sends in another's name: not an unauthenticated
client with one of our addresses, not a user with another's. A recipient no route leads to is refused at once.
An address this server made for a forwarded message's bounces (`RemoteAddresses.original`) takes bounces only: for any other
message it is unknown, so that it is no relay. Text and work are the same for every address that is refused; look-ups are in
memory, so the time is too.
"""

from dataclasses import dataclass
from typing import Protocol

from appliance.accounts.directory import Directory, Resolution
from appliance.accounts.send_quota import SendQuota
from appliance.auth.identity import Identity
from appliance.mail.address import Address
from appliance.mail.description import Description
from appliance.mail.envelope import Recipient
from appliance.mail.limits import HEADER_OCTETS, HOPS, TEXT_LINE_OCTETS
from appliance.mail.options import EnvelopeOptions
from appliance.mail.reply import Reply
from appliance.protocol.smtp.grammar import Path

from .authors import ADDRESSES, Authors

SIGN_IN_FIRST = Reply(530, "5.7.0", ("Please sign in first.",))
NO_RELAY = Reply(550, "5.7.1", ("This server accepts messages for its own users only; to send elsewhere, sign in on port 587 or 465.",))
NOBODY = Reply(550, "5.1.1", ("There is no such address here.",))
ROUTED_ADDRESS = Reply(550, "5.7.1", ("An address that carries another address or a route inside is not accepted here.",))
NO_ROUTE = Reply(550, "5.4.4", ("This server cannot send messages to other servers.",))
LEADS_NOWHERE = Reply(550, "5.4.4", ("This address forwards to another server that cannot be reached from here.",))
NO_SUCH_DOMAIN = Reply(550, "5.1.2", ("This is not a domain of the Internet; look at what follows the @.",))
FORGED = Reply(550, "5.7.1", ("This sender's address belongs to this server; its users sign in on port 587 or 465 to send.",))
NOT_YOURS = Reply(553, "5.7.1", ("You cannot send with this sender address: messages to it do not come to you.",))
NOT_YOUR_FROM = Reply(553, "5.7.1", ("The From or Sender of this message names an address whose messages do not come to you.",))
UNREADABLE_FROM = Reply(553, "5.7.1", ("The From or Sender of this message cannot be read as addresses.",))

LOOP = Reply(554, "5.4.6", ("This message has been through too many servers; it is in a mail loop.",))
BIG_HEADER = Reply(552, "5.3.4", (f"The header of this message is larger than {HEADER_OCTETS} octets.",))
LONG_LINE = Reply(554, "5.6.0", (f"A line of this message is longer than {TEXT_LINE_OCTETS} octets.",))

ROUTING = frozenset("%!@")
"""Characters that once stood for a route inside a local part. Such a name is refused before it is looked up, so that no
alias or catch-all ever makes this server look like a relay; no account here can have one."""
NO_INTERNET = frozenset({"localhost", "invalid", "onion", "local"})
"""Top-level labels no message can be sent to (RFC 6761, RFC 7686, RFC 6762)."""


class RemoteAddresses(Protocol):
    """Which remote addresses can be reached: the port to `outbound`, implemented by its RelayCheck."""

    @property
    def holds(self) -> bool:
        """Can a message be held until a release time, whoever it is for? (RFC 4865)"""
        ...

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        """Why a message of `sender`, an account of this server or None, cannot leave for `address`; None when it can."""
        ...

    def original(self, address: Address) -> Address | None:
        """The original sender behind an address that sender rewriting made (SRS); None when it is none of ours, too old, or
        altered."""
        ...


@dataclass(frozen=True, slots=True)
class NoRemoteAddresses:
    """A server that sends nothing to others."""

    holds: bool = False

    def refusal(self, sender: Address | None, address: Address) -> Reply | None:
        return NO_ROUTE

    def original(self, address: Address) -> Address | None:
        return None


NO_REMOTE_ADDRESSES = NoRemoteAddresses()


def judge_sender(directory: Directory, identity: Identity | None, sender: Address | None, *, forged_own: str, others: str) -> Reply | None:
    """May the envelope have this sender? `forged_own` and `others` are the settings' values. The null path always may."""
    if sender is None:
        return None
    if identity is None:
        return FORGED if forged_own == "refuse" and directory.is_local(sender.domain) else None
    return None if others == "accept" or directory.may_send_as(identity.account, sender) else NOT_YOURS


def judge_recipient(
    directory: Directory, relay_check: RemoteAddresses, identity: Identity | None, sender: Address | None, path: Path,
    here: Resolution | None = None,
) -> Recipient | Reply:  # fmt: skip
    """Where a message of `sender` to this path goes, or the refusal. `here`: where an address at the server itself
    leads (`own_names`), None when it is elsewhere."""
    address = path.address
    if address is None:
        resolution = directory.postmaster()
    elif here is not None:
        if not ROUTING.isdisjoint(address.local):
            return ROUTED_ADDRESS
        resolution = here
    elif not directory.is_local(address.domain):
        if identity is None:
            return NO_RELAY
        return _unreachable(address) or relay_check.refusal(sender, address) or Recipient(address, outside=(address,))
    elif not ROUTING.isdisjoint(address.local):
        return ROUTED_ADDRESS
    else:
        if sender is None and (returned := _returned(directory, relay_check, address)) is not None:
            return returned
        resolution = directory.resolve(address)
    if not resolution.known:
        return NOBODY

    def reached(found: Resolution) -> Recipient | Reply:
        if not found.outside:
            return Recipient(address, found.accounts)
        for target in found.outside:
            if _unreachable(target) or relay_check.refusal(None if identity is None else sender, target):
                return LEADS_NOWHERE
        return Recipient(address, found.accounts, found.outside, forwarded=True)

    forwarded = directory.forwarded(resolution)
    recipient = reached(forwarded)
    return reached(resolution) if isinstance(recipient, Reply) and forwarded != resolution else recipient


def _unreachable(address: Address) -> Reply | None:
    """The refusal of a domain the public DNS cannot have: one label, or a number at the end (RFC 3696 §2)."""
    domain = address.domain
    if domain.startswith("["):
        return None
    rest, dot, last = domain.rpartition(".")
    return None if dot and rest and not last.isdecimal() and last not in NO_INTERNET else NO_SUCH_DOMAIN


def _returned(directory: Directory, relay_check: RemoteAddresses, address: Address) -> Recipient | None:
    """A bounce of a message this server forwarded goes back to the original sender."""
    original = relay_check.original(address)
    if original is None:
        return None
    if directory.is_local(original.domain):
        found = directory.resolve(original)
        return Recipient(address, found.accounts) if found.accounts else None
    if _unreachable(original) or relay_check.refusal(None, original):
        return None
    return Recipient(address, outside=(original,), forwarded=True)


def judge_sending(sending: SendQuota, identity: Identity, recipients: int, now_mono_s: float, *, take: bool) -> Reply | None:
    """May this account send a message to so many addresses outside now? With `take` it counts."""
    wait_s = (sending.take if take else sending.wait_s)(identity.account, recipients, now_mono_s)
    if not wait_s:
        return None
    minutes = max(1, round(wait_s / 60))
    again = f"{minutes} minute{'s' * (minutes > 1)}" if minutes < 100 else f"{round(wait_s / 3600)} hours"
    return Reply(450, "4.7.1", (f"You have sent as much as this server lets one account send; please try again in {again}.",))


def judge_size(description: Description, options: EnvelopeOptions) -> Reply | None:
    """Header size, hops and line length."""
    if description.header_octets > HEADER_OCTETS:
        return BIG_HEADER
    if description.hops > HOPS:
        return LOOP
    return LONG_LINE if description.longest_line_octets > TEXT_LINE_OCTETS and options.body != "BINARYMIME" else None


def judge_authors(directory: Directory, identity: Identity, authors: Authors, *, others: str) -> Reply | None:
    """May this account send a message with these From and Sender fields? (RFC 6409 §8.1)"""
    if others == "accept":
        return None
    if authors.unreadable:
        return UNREADABLE_FROM
    claimed = [address for address in authors.named if _means_a_mailbox(directory, address)]
    if all(directory.may_send_as(identity.account, address) for address in (*authors.addresses, *claimed)):
        return None
    return NOT_YOUR_FROM


def _means_a_mailbox(directory: Directory, address: Address) -> bool:
    """Would a reader take this part of a display name for a mailbox? "Ann @ Home" and "@handle" are none."""
    return directory.is_local(address.domain) or ("." in address.domain and address.local != "")


def claims_our_accounts(directory: Directory, sender: Address | None, authors: Authors) -> bool:
    """Does an unauthenticated message look as if one of our accounts had sent it? True also for an address of ours in a display name."""
    if sender is not None and directory.is_local(sender.domain):
        return True
    if any(directory.is_local(address.domain) for address in (*authors.addresses, *authors.named)):
        return True
    if len(authors.texts) > ADDRESSES:
        return True  # a header of hundreds of From fields has something to hide
    ours = [b"@" + domain.encode() for domain in directory.domains()]
    return any(domain in text for text in authors.texts for domain in ours)
