"""Header fields a submitted message lacks: Date and Message-ID (RFC 6409 §8.2, §8.3).

The octets of the message stay as they were submitted; the new fields stand in front, above the message's own header.
"""

from appliance.mail.date import encode_date
from appliance.mail.description import Description


def missing_fields(description: Description, *, message: str, host: str, at: int, offset_s: int) -> bytes:
    """The fields to put in front, each with its line end; b"" when the message has both."""
    fields = b""
    if not description.has_message_id:
        fields += f"Message-ID: <{message}@{host}>\r\n".encode()
    if not description.has_date:
        fields += f"Date: {encode_date(at, offset_s)}\r\n".encode()
    return fields
