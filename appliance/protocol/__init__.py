"""Grammars and state machines of the protocols, sans I/O: octets in, events out (layer 1)."""
