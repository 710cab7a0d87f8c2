"""Floor 6, the words a person types."""
