"""The composition root: builds the server from its packages and runs it."""
