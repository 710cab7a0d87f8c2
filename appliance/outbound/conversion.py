"""Convert a message to a form the next server accepts, losing nothing: transfer encodings, encoded words, A-labels.

| the message has                           | and                        | conversion                                                      |
|-------------------------------------------|----------------------------|-----------------------------------------------------------------|
| 8-bit text in a part                      | no 8BITMIME (RFC 6152 §3)  | text becomes quoted-printable, everything else base64           |
| NUL, a bare CR or LF in a part            |                            | the same                                                        |
| a line over 998 octets in a part          | (RFC 5321 §4.5.3.1.6)      | the same in local messages; unchanged in forwarded ones         |
| 8-bit words in a header                   | no 8BITMIME                | encoded words (RFC 2047), parameters by RFC 2231                |
| 8-bit words in a header, SMTPUTF8         | no SMTPUTF8 (RFC 6531)     | the same; domains become A-labels                               |
| the same in a local one without SMTPUTF8  | (RFC 5322 has no 8 bits)   | the same; addresses that need it: SMTPUTF8, where it is offered |
| UTF-8 in a forwarded message's header     |                            | unchanged, with SMTPUTF8 where that is offered (RFC 6532)       |
| other 8-bit words in a local one's header |                            | encoded words in the body's charset, or in unknown-8bit         |
| an address with 8-bit before the @        | no SMTPUTF8                | fails, 5.6.7: there is no other way to write it                 |
| the first two inside multipart/signed     | the same                   | fails, 5.6.3 (binary: 5.6.1): it would break the signature      |
| a bare CR or LF in a header               |                            | becomes a space                                                 |

Local messages are those submitted here (`OutgoingMessage.author`). Multiparts declare "7bit" or "8bit" as their parts are then; no
octet of a part that need not change is changed. BINARYMIME is never used for sending: every message goes by DATA. The message is
read at most three times, once when it needs no conversion; memory: the part tree, one header, one chunk.
"""

from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from appliance.mail.body_encoders import ENCODERS, Base64Encoder, BodyEncoder, OctetRemover, QuotedPrintableEncoder
from appliance.mail.content import first_encoding
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import Chunks, OutgoingMessage
from appliance.mail.partmap import TRANSFERS, UNKNOWN
from appliance.mail.sentence import Sentence
from appliance.mail.structure import Node, StructureScanner, begins_no_part
from appliance.protocol.smtp.client import Offer

from .header_edits import declare_container_7bit, declare_encoding, fold_lines, repair_lines
from .header_words import declared_charset, encode_header
from .message_edits import Edit, EditList, apply_edits
from .octet_facts import OctetFacts, scan_octets

ASCII, UTF8, OTHER = "ascii", "utf-8", "other"


async def convert(outgoing: OutgoingMessage, offer: Offer) -> OutgoingMessage | Outcome:
    """The message in a form this server accepts, with `octets` and options (BODY, SMTPUTF8) to match; or why there is none."""
    utf8 = outgoing.options.smtputf8 and offer.smtputf8
    if outgoing.options.smtputf8 and not utf8:
        for address in (outgoing.sender, *(one.address for one in outgoing.recipients)):
            if address is not None and not address.ascii_local:
                return _no(
                    "5.6.7", Sentence("The address %(address)s needs SMTPUTF8, which the other server does not support.", address=address)
                )
    facts, is_local = await scan_octets(outgoing.chunks), bool(outgoing.author)
    to_7bit = facts.eight and not offer.eightbitmime
    encode_headers = facts.eight and (to_7bit or (not utf8 and (is_local or outgoing.options.smtputf8)))
    if facts.eight and not encode_headers and (is_local or not utf8) and offer.smtputf8:
        form = await header_form(outgoing.chunks)
        utf8 = utf8 or form == UTF8
        encode_headers = is_local and form == OTHER
    fold = facts.long and is_local
    if to_7bit or encode_headers or facts.binary or fold:
        converted = await _converted(
            outgoing, to_7bit=to_7bit, encode_headers=encode_headers, bodies=to_7bit or facts.binary or fold, fold=fold
        )
        if isinstance(converted, Outcome):
            if to_7bit or not is_local or not offer.smtputf8 or converted.status != "5.6.7" or await header_form(outgoing.chunks) != UTF8:
                return converted
            return await convert(replace(outgoing, options=replace(outgoing.options, smtputf8=True)), offer)  # it has no other form
        outgoing, facts = converted
    options = replace(outgoing.options, body="8BITMIME" if facts.eight else "7BIT", smtputf8=utf8)
    return replace(outgoing, octets=facts.octets, options=options)


def _no(status: str, text: str) -> Outcome:
    return Outcome(DsnAction.FAILED, status, Reason.CONVERSION, text)


async def structure_of(chunks: Chunks) -> Node:
    scanner = StructureScanner()
    async with chunks() as octets:
        async for chunk in octets:
            scanner.feed(chunk)
    return scanner.finish()


async def header_form(chunks: Chunks) -> str:
    """The encoding of the headers of the message and its parts: ASCII, UTF8 where one is not ASCII, OTHER where one is neither."""
    form, nodes, at = ASCII, [await structure_of(chunks)], 0
    headers: list[tuple[int, int]] = []
    while nodes:
        node = nodes.pop()
        headers.append((node.header_start, node.body_start))
        nodes += reversed(_parts(node))
    decoder = getincrementaldecoder("utf-8")()
    async with chunks() as octets:
        async for chunk in octets:
            for start, end in headers:
                if start >= at + len(chunk):
                    break
                some = chunk[max(0, start - at) : max(0, end - at)]
                if not some.isascii():
                    form = UTF8
                try:
                    decoder.decode(some, final=bool(some) and end <= at + len(chunk))
                except UnicodeDecodeError:
                    return OTHER
            at += len(chunk)
            headers = [one for one in headers if one[1] > at]
    return form


async def _converted(
    outgoing: OutgoingMessage, *, to_7bit: bool, encode_headers: bool, bodies: bool, fold: bool
) -> tuple[OutgoingMessage, OctetFacts] | Outcome:
    """The converted message and its facts. `bodies`: parts may change too, not only headers."""
    root = await structure_of(outgoing.chunks)
    leaves = list(_leaves(root)) if bodies else []
    facts_of_parts = await _scan_parts(outgoing.chunks, leaves) if bodies else []
    edit_list = EditList(between=to_7bit or any(facts.binary for facts in facts_of_parts))
    encoded: set[int] = set()
    for leaf, facts in zip(leaves, facts_of_parts, strict=True):
        if facts.binary or (to_7bit and facts.eight) or (fold and facts.long and not _is_signed(leaf)):
            if _is_signed(leaf):
                status = "5.6.1" if facts.binary else "5.6.3"
                return _no(status, Sentence("The message is signed, and would have to be changed for the other server to accept it."))
            if _transfer(leaf) not in ENCODERS:
                text = Sentence("A part of the message is in an encoding that cannot be changed here for the other server.")
                return _no("5.6.3", text)
            encoded.add(id(leaf))
    faults: list[str] = []
    _plan_edits(root, encoded, edit_list, faults, encode_headers=encode_headers, to_7bit=to_7bit, fold=fold)
    converted = replace(outgoing, chunks=apply_edits(outgoing.chunks, edit_list))
    after = await scan_octets(converted.chunks)
    if faults:
        text = Sentence("The address %(address)s in the header needs SMTPUTF8, which the other server does not support.", address=faults[0])
        return _no("5.6.7", text)
    return converted, after


def _leaves(node: Node) -> "list[Node]":
    """All leaf parts, in the order of the message. Not by recursion: a tree may be deep."""
    found, left = [], [node]
    while left:
        one = left.pop()
        if inside := _parts(one):
            left += reversed(inside)
        elif one.end > one.body_start:
            found.append(one)
    return found


def _parts(node: Node) -> "list[Node]":
    """The child parts that have a header of their own to declare an encoding."""
    return [] if begins_no_part(node) else [part for part in node.children if part.body_start != node.body_start]


def _transfer(node: Node) -> int:
    """The transfer encoding a receiver may apply: without MIME-Version some decode all the same (RFC 2045 §4 leaves it open)."""
    named = first_encoding(node.header_fields.get(b"content-transfer-encoding", ()))
    return node.transfer if named is None else TRANSFERS.get(named.lower(), UNKNOWN)


async def _scan_parts(chunks: Chunks, leaves: "list[Node]") -> list[OctetFacts]:
    """The facts of each leaf's body."""
    facts_of_parts = [OctetFacts() for _ in leaves]
    at = number = 0
    async with chunks() as octets:
        async for chunk in octets:
            end = at + len(chunk)
            while number < len(leaves) and leaves[number].body_start < end:
                leaf = leaves[number]
                facts_of_parts[number].feed(chunk[max(0, leaf.body_start - at) : leaf.end - at])
                if leaf.end > end:
                    break
                number += 1
            at = end
    for facts in facts_of_parts:
        facts.end()
    return facts_of_parts


def _is_signed(node: Node) -> bool:
    """Inside multipart/signed, where no octet may change (RFC 1847 §2.1)."""
    parent = node.parent
    while parent is not None:
        if (parent.content.subtype or b"").lower() == b"signed":
            return True
        parent = parent.parent
    return False


def _plan_edits(
    root: Node, encoded: set[int], edit_list: EditList, faults: list[str], *, encode_headers: bool, to_7bit: bool, fold: bool
) -> None:
    left, fallback = [root], declared_charset(root) if encode_headers else ""
    while left:
        node = left.pop()
        inside = _parts(node)
        encoder: type[BodyEncoder] = ENCODERS.get(_transfer(node), OctetRemover) if not inside else OctetRemover
        if encoder is QuotedPrintableEncoder and not node.content.is_text():
            encoder = Base64Encoder
        changes: list[Callable[[bytes], bytes]] = [repair_lines]
        if fold and not _is_signed(node):
            changes.append(fold_lines)
        if encode_headers and not _is_signed(node):
            changes.append(partial(encode_header, faults, fallback))
        if id(node) in encoded and encoder in (QuotedPrintableEncoder, Base64Encoder):
            changes.append(
                partial(declare_encoding, root=node is root, encoding=b"base64" if encoder is Base64Encoder else b"quoted-printable")
            )
        elif inside and to_7bit and not _is_signed(node):
            changes.append(declare_container_7bit)
        edit_list.edits.append(Edit(node.header_start, node.body_start, partial(_apply_all, changes)))
        if not inside and node.end > node.body_start:
            edit_list.edits.append(Edit(node.body_start, node.end, encoder=encoder if id(node) in encoded else None))
        left += reversed(inside)


def _apply_all(changes: "list[Callable[[bytes], bytes]]", block: bytes) -> bytes:
    for change in changes:
        block = change(block)
    return block
