"""Pillarbox: a home mail server for small boards."""
