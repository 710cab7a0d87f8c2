"""LIMITS: announces how many recipients one message may have (RFC 9422)."""

from ..extension import SmtpExtension

EXTENSION = SmtpExtension("LIMITS", "RFC 9422", keyword=lambda session: f"LIMITS RCPTMAX={session.options.recipients}")
