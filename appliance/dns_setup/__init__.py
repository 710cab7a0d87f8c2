"""DNS records to publish for a domain, and their check."""
