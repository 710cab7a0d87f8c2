"""SASL mechanisms as pure steps (RFC 4422)."""
