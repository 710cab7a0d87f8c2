"""Accounts, domains, aliases, passwords, login throttle and send quota."""
