"""Admin requests and responses, and the local socket they travel over."""
