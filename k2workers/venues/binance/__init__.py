"""Everything that is true of Binance's markets only. Importing it loads nothing: the settings alone need no codec."""
