"""Floor 5, SMTP on 25, 587 and 465."""
