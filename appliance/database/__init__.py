"""Floor 1, SQLite's home: one writer thread, group commit, windows of reading."""
