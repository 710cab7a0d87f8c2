"""The server's own certificate authority and certificates."""
