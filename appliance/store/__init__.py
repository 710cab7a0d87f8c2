"""Mailboxes, messages, bodies, quota, import and export; knows no protocol."""
