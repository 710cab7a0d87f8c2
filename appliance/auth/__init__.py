"""Floor 3, who is on the line: one place for every server."""
