"""Owns what only ``--demo`` has: the process of the embedded exchange, and an independent subscriber that counts for itself."""
