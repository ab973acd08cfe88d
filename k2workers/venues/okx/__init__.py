"""OKX v5: so far only its facts."""
