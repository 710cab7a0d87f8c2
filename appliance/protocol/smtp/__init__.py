"""SMTP on the wire (RFC 5321)."""
