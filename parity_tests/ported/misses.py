"""What a diagnosis is known to miss: of which pair, whether the `layer` or the `cause`. docs/diagnosis.md shows them."""

MISSES: dict[str, tuple[str, ...]] = {}
