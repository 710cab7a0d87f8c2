"""What a message of our own people gets that it lacks: Date and Message-ID (RFC 6409 §8.2, §8.3).

The octets of the message stay as they were handed in; what is added stands in front, above the message's own header.
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
