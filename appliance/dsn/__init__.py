"""Delivery status notifications: policy, text, composition. Pure. Layer 4."""
