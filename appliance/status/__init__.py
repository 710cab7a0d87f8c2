"""Floor 1, what the house announces: one picture that lights, console, command line and metrics all read."""
