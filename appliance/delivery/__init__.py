"""Delivery: plan, intake, final delivery into mailboxes, and the DSNs this server generates. Layer 5."""
