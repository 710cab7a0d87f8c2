"""Floor 1, grammars and conversation state tables: octets in, events out, no I/O."""
