"""LIMITS: how many recipients one message may have, said beforehand (RFC 9422)."""

from ..extension import Extension

EXTENSION = Extension("LIMITS", "RFC 9422", keyword=lambda session: f"LIMITS RCPTMAX={session.options.recipients}")
