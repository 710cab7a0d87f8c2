"""JMAP's core as values and functions without I/O: requests, references, arguments, errors, limits (RFC 8620)."""
