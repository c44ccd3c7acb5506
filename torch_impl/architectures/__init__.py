"""One file per architecture, in PyTorch."""
