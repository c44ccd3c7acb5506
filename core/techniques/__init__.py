"""One file per training technique: its spec, and its rule in NumPy."""
