"""Models that Diglot has never seen: which weight is which, where two of them part, and why."""
