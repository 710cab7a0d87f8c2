"""POP3 on the wire (RFC 1939)."""
