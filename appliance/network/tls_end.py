"""TLS truncation is an error, on every Python version.

TLS ends with close_notify (RFC 8446 §6.1); an end of TCP without it may be an attack, and what came before may be
truncated. CPython before 3.11.4 and 3.12 sets OP_IGNORE_UNEXPECTED_EOF in every context it makes where OpenSSL
has it, so that both look the same. Every context made here, of servers and clients, goes through `require_close_notify`.
"""

import ssl


def require_close_notify(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, in which an end without close_notify is an error."""
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context
