"""SQLite: one writer thread with group commit, read connections, schema, migrations, check."""
