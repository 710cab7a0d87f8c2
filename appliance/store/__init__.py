"""Floor 2, mailboxes and messages; knows no protocol."""
