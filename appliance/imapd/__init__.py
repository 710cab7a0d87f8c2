"""Floor 5, IMAP on 143 and 993."""
