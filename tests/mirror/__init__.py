"""Proves what the layout promises: a test file for every module, pure modules covered by their own, nothing too long."""
