"""Texts of a stored ENVELOPE, decoded, and whether they resemble words (RFC 6203)."""

from appliance.mail.encoding import decode_words
from appliance.mail.resemblance import resemblance, words_of
from appliance.protocol.imap.envelope_fields import ADDRESS_FIELDS, address_text, parse_envelope
from appliance.protocol.imap.envelope_scan import subject_of


def field_texts(fields: tuple[str, ...], wire: bytes) -> list[str]:
    """The subject, or the addresses of a field, of each of the fields."""
    if fields == ("subject",):
        return [decode_words(subject_of(wire) or b"")]
    envelope = parse_envelope(wire)
    addresses = dict(zip(ADDRESS_FIELDS, envelope.addresses, strict=True))
    return [decode_words(address_text(addresses[field]) if field in addresses else envelope.subject or b"") for field in fields]


def resembles(fields: tuple[str, ...], words: tuple[str, ...], wire: bytes) -> bool:
    """Whether one of the fields resembles the words."""
    return any(resemblance(words, words_of(text)) for text in field_texts(fields, wire))
