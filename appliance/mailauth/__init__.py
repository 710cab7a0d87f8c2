"""Floor 1, who vouches for a message: signatures of our own, and later the checking of others'."""
