"""Floor 5, settings, supervisor, certificates, the local socket."""
