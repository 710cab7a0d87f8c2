"""Floor 4, the one door in for messages."""
