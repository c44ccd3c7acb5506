"""One file per architecture: its spec."""
