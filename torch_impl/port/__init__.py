"""A user's PyTorch model, laid bare for core/port."""
