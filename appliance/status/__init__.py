"""The status of the server: events, the board that folds them, the one snapshot that everybody reads, and the journal."""
