"""The envelope of a submission: JSON to an SMTP envelope with its parameters, or made from the message's header (RFC 8621 §7).

| parameter          | of         | as                                                           |
|--------------------|------------|--------------------------------------------------------------|
| HOLDFOR, HOLDUNTIL | mailFrom   | release time (RFC 4865), one of the two                       |
| RET, ENVID         | mailFrom   | RFC 3461 §4.3, §4.4                                           |
| REQUIRETLS         | mailFrom   | RFC 8689                                                     |
| BODY, SIZE, SMTPUTF8 | mailFrom | taken; the server looks at the message itself                |
| NOTIFY, ORCPT      | rcptTo     | RFC 3461 §4.1, §4.2                                           |

Values come without xtext or unitext; they are encoded again and read by the parsers SMTP has, so both refuse the same. Raises SetError.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from appliance.accounts.directory import key_of
from appliance.mail.address import Address, encode_address, parse_address, parse_domain
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import MisuseError
from appliance.mail.options import EnvelopeOptions, RecipientOptions
from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, EnvelopeAddress, parse_envelope
from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.protocol.smtp.dsn import encode_envid, parse_envid, parse_notify, parse_orcpt, parse_ret, xtext_utf8
from appliance.protocol.smtp.futurerelease import parse_hold_for, parse_hold_until
from appliance.protocol.smtp.grammar import encode_xtext

BODIES = ("7BIT", "8BITMIME", "BINARYMIME")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SIZE = re.compile(r"[0-9]{1,20}")


def read_envelope(given: Any, most: int, now: int, *, holds: bool) -> Envelope:
    """The client's envelope. `most` recipients; `now` UTC seconds; `holds`: release times are taken."""
    if not isinstance(given, dict) or not given.keys() <= {"mailFrom", "rcptTo"} or not isinstance(given.get("rcptTo"), list):
        raise _invalid("An envelope has mailFrom and rcptTo.")
    if len(given["rcptTo"]) > most:
        raise too_many(most)
    email, parameters = _address_object(given.get("mailFrom"))
    try:
        envelope = Envelope(parse_address(email) if email else None)
    except MisuseError as problem:
        raise _invalid(f"mailFrom: {problem}.") from None
    envelope.options = _mail_options(parameters, now, holds=holds)
    wrong: list[str] = []
    for one in given["rcptTo"]:
        email, parameters = _address_object(one)
        try:
            recipient = Recipient(parse_address(email))
        except MisuseError:
            wrong.append(email)
            continue
        recipient.options = _recipient_options(parameters)
        envelope.recipients.append(recipient)
    return _completed(envelope, wrong)


def made_envelope(stored: bytes, identity: Address, most: int) -> Envelope:
    """From the header fields of a message, as its stored ENVELOPE has them; the identity's address where the author's is another."""
    fields = dict(zip(ADDRESS_FIELDS, parse_envelope(stored).addresses, strict=True))
    name = "sender" if fields["sender"] else "from"
    authors = [one for one in fields[name] if one.host is not None]
    if len(authors) != 1:
        sentence = "The message names several senders." if authors else "The message has no From."
        raise SetError("invalidEmail", sentence, properties=[name])
    envelope = Envelope(identity)
    wrong: list[str] = []
    found: dict[str, Recipient] = {}
    for one in (*fields["to"], *fields["cc"], *fields["bcc"]):
        if one.host is None or one.mailbox is None:
            continue  # a group's name or its end
        address = _address(one)
        if address is None:
            wrong.append(f"{one.mailbox.decode('utf-8', 'replace')}@{one.host.decode('utf-8', 'replace')}")
        else:
            found.setdefault(str(address), Recipient(address))
    if len(found) + len(wrong) > most:
        raise too_many(most)
    envelope.recipients = list(found.values())
    author = _address(authors[0])
    if author is not None and key_of(author) == key_of(identity):
        envelope.sender = author
    return _completed(envelope, wrong)


def encode_envelope(envelope: Envelope) -> dict[str, Any]:
    """A made envelope as the client sees it."""
    return {
        "mailFrom": {"email": str(envelope.sender or ""), "parameters": None},
        "rcptTo": [{"email": str(one.address), "parameters": None} for one in envelope.recipients],
    }


def too_many(most: int) -> SetError:
    return SetError("tooManyRecipients", f"A message has at most {most} recipients.", maxRecipients=most)


def invalid_recipients(addresses: Iterable[str], description: str) -> SetError:
    return SetError("invalidRecipients", description, invalidRecipients=list(addresses))


def _completed(envelope: Envelope, wrong: list[str]) -> Envelope:
    if wrong:
        raise invalid_recipients(wrong, "These are no e-mail addresses.")
    if not envelope.recipients:
        raise SetError("noRecipients", "The message has no recipients.")
    addresses = [one.address for one in envelope.recipients] + [envelope.sender]
    if any(one is not None and not one.ascii_local for one in addresses):
        envelope.options = replace(envelope.options, smtputf8=True)
    return envelope


def _address(one: EnvelopeAddress) -> Address | None:
    try:
        return parse_address(encode_address(Address((one.mailbox or b"").decode(), parse_domain((one.host or b"").decode()))))
    except (MisuseError, UnicodeDecodeError):
        return None


def _address_object(value: Any) -> tuple[str, dict[str, str | None]]:
    """Address and parameters, their names in upper case."""
    if not isinstance(value, dict) or not isinstance(value.get("email"), str) or not value.keys() <= {"email", "parameters"}:
        raise _invalid("An address of the envelope has email and parameters.")
    parameters = value.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise _invalid("The parameters of an address are an object.")
    found: dict[str, str | None] = {}
    for name, parameter in parameters.items():
        if not _WORD.fullmatch(name) or not (parameter is None or isinstance(parameter, str)) or name.upper() in found:
            raise _invalid(f'"{name[:64]}" is no parameter, or has no text for its value.')
        found[name.upper()] = parameter
    return value["email"], found


def _mail_options(parameters: Mapping[str, str | None], now: int, *, holds: bool) -> EnvelopeOptions:
    options = EnvelopeOptions()
    if "HOLDFOR" in parameters and "HOLDUNTIL" in parameters:
        raise _invalid("Give HOLDFOR or HOLDUNTIL, not both.")
    for name, value in parameters.items():
        octets = (value or "").encode()
        try:
            if name in ("HOLDFOR", "HOLDUNTIL"):
                if not holds:
                    raise _invalid("The server cannot hold a message now, since it is not sure of the time.")
                parse = parse_hold_for if name == "HOLDFOR" else parse_hold_until
                options = replace(options, release_at=parse(octets, now))
            elif name == "RET":
                options = replace(options, ret=parse_ret(octets))
            elif name == "ENVID":
                options = replace(options, envid=parse_envid(encode_envid(value or "")))
            elif name == "BODY" and (value or "").upper() in BODIES:
                options = replace(options, body=(value or "").upper())
            elif name == "REQUIRETLS" and value is None:
                options = replace(options, require_tls=True)
            elif name == "SMTPUTF8" and value is None:
                options = replace(options, smtputf8=True)
            elif name != "SIZE" or not _SIZE.fullmatch(value or ""):
                raise _invalid(f"The parameter {name} is not known here, or not with this value.")
        except MisuseError as problem:
            raise _invalid(f"{name}: {str(problem).removesuffix('.')}.") from None
    return options


def _recipient_options(parameters: Mapping[str, str | None]) -> RecipientOptions:
    options = RecipientOptions()
    for name, value in parameters.items():
        try:
            if name == "NOTIFY":
                options = replace(options, notify=parse_notify((value or "").encode()))
            elif name == "ORCPT":
                options = replace(options, orcpt=parse_orcpt(_orcpt(value or ""), utf8=True))
            else:
                raise _invalid(f"The parameter {name} is not known here.")
        except MisuseError as problem:
            raise _invalid(f"{name}: {problem}.") from None
    return options


def _orcpt(value: str) -> bytes:
    """`type;address` as SMTP has it."""
    kind, semicolon, address = value.partition(";")
    encoded = xtext_utf8(address).encode() if kind.lower() == "utf-8" else encode_xtext(address.encode())
    return kind.encode() + semicolon.encode() + encoded


def _invalid(description: str) -> SetError:
    return invalid_properties(description, "envelope")
