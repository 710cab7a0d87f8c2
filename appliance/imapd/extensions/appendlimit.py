"""APPENDLIMIT: the largest message APPEND accepts (RFC 7889); the same for every mailbox."""

from ..contract import ImapExtension, StatusItem

EXTENSION = ImapExtension(
    name="APPENDLIMIT",
    rfc="RFC 7889",
    capability=lambda session: (b"APPENDLIMIT=%d" % session.options.message_octets,),
    status_items=(StatusItem(b"APPENDLIMIT", lambda session, info: session.options.message_octets),),
)
