"""Floor 3, what still has to leave the server."""
