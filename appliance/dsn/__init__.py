"""Delivery status notifications: policy, text and composition; pure."""
