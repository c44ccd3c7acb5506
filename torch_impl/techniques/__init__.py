"""One file per training technique, in PyTorch."""
