"""LEDs, a button and a serial console: they show the snapshot of `status` and act through `control`; nothing else is imported."""
