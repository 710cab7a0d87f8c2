"""The settings: fields, file, lines, checks."""
