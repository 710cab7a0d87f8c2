"""IMAP's core commands: grammar, handler and answer of each in one file."""
