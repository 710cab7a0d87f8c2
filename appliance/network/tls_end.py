"""A cut TLS connection is told from an orderly end, on every Python.

TLS ends with close_notify (RFC 8446 §6.1); an end of TCP without it may be anybody's work, and what came before may be
only the beginning. CPython before 3.11.4 and 3.12 sets OP_IGNORE_UNEXPECTED_EOF in every context it makes where OpenSSL
has it, so that both look alike. Every context of ours, of servers and clients, goes through `require_close_notify`.
"""

import ssl


def require_close_notify(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, in which an end without close_notify is an error."""
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context
