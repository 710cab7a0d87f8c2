"""ENHANCEDSTATUSCODES: every reply but greetings and 3xx carries one (RFC 2034)."""

from ..extension import SmtpExtension

EXTENSION = SmtpExtension("ENHANCEDSTATUSCODES", "RFC 2034", keyword=lambda session: "ENHANCEDSTATUSCODES")
