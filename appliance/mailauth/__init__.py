"""Floor 1, who vouches for a letter: signatures of our own, and later the checking of others'."""
