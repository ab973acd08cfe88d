"""Owns what all connections to a venue share: TLS, proxies, and what an answer says about the venue's state."""
