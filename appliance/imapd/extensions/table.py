"""The ordered list of IMAP extensions: one line each; CAPABILITY follows this order."""

from ..extension import Extension

EXTENSIONS: tuple[Extension, ...] = ()
