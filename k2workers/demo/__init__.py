"""Owns what only ``--demo`` has: the process of the embedded exchange, and that of an independent subscriber that counts for itself.

``demonstration`` runs in the parent: it adds the two to the feed and compares their counts at the end.
"""
