"""PIPELINING: commands may come in groups (RFC 2920); `connection` answers a group with one send."""

from ..extension import SmtpExtension

EXTENSION = SmtpExtension("PIPELINING", "RFC 2920", keyword=lambda session: "PIPELINING")
