"""Authentication for every server: login checks and SASL exchanges."""
