"""The ordered list of IMAP's core commands: one line a file."""

from ..extension import Command

CORE: tuple[Command, ...] = ()
