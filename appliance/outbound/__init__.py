"""Sending messages on: runner, routing, MX, TLS policies, SMTP transport and client."""
