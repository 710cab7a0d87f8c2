"""Floor 2, people, domains, aliases and their secrets."""
