"""The IMAP server, on 143 and 993."""
