"""The outbound queue: entries, retry schedule, delivery history. Layer 3."""
