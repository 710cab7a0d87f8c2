"""Floor 1, what the server announces: one picture that lights, console, command line and metrics all read."""
