"""What layers compute, in float64 NumPy: each family of formulas finds which of its members gives an output."""
