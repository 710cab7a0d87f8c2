"""WITHIN: messages by how long ago they arrived, to the second (RFC 5032)."""

from appliance.mail.query import ArrivedAt
from appliance.protocol.imap.search import SearchKey

from ..contract import ImapExtension

EXTENSION = ImapExtension(
    name="WITHIN",
    rfc="RFC 5032",
    capability=lambda session: (b"WITHIN",),
    search_keys=(
        SearchKey(b"OLDER", lambda reader: ArrivedAt(last_s=reader.now_s - reader.interval_s())),
        SearchKey(b"YOUNGER", lambda reader: ArrivedAt(first_s=reader.now_s - reader.interval_s())),
    ),
)
