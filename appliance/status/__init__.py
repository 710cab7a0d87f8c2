"""The status of the server: events folded into a board, one snapshot that LEDs, console, web, command line and metrics read, and the journal."""
