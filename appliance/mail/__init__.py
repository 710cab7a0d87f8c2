"""Values and scanners of Internet messages: pure, imports no other package (layer 0)."""
