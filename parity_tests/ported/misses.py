"""What a diagnosis is known to miss: of which pair, whether the `layer` or the `cause`. See docs/diagnosis.md."""

MISSES: dict[str, tuple[str, ...]] = {}
