"""HELP is understood (RFC 5321 §4.1.1.8); the command itself is one of the core."""

from ..extension import SmtpExtension

EXTENSION = SmtpExtension("HELP", "RFC 5321", keyword=lambda session: "HELP")
