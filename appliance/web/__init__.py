"""The web: HTTP on its own two listeners, sign-in sessions, and the pages to set up, run and use the server."""
