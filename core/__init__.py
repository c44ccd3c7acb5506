"""What is true in both languages: specs, states, checks and verdicts. NumPy and the standard library only."""
