"""IMAP on the wire (RFC 3501, RFC 9051)."""
