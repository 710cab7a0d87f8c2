"""Floor 2, listeners, streams and TLS."""
