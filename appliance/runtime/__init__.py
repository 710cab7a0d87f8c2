"""Supervisor, data directory, clock, host facts, systemd notification."""
