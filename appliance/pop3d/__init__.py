"""The POP3 server, on 110 and 995."""
