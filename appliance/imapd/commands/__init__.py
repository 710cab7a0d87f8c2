"""Core commands of IMAP, a few related ones in each file."""
