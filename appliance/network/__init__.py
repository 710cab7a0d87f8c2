"""Listeners, streams, TLS, resolver, rate limits and dialing."""
