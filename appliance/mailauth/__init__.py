"""Message authentication: DKIM signing and SPF evaluation; DNS is handed in through a port (layer 1)."""
