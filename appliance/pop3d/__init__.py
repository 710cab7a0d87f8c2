"""Floor 5, POP3 on 110 and 995."""
