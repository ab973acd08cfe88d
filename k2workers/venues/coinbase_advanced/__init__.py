"""Coinbase Advanced: so far only its facts."""
