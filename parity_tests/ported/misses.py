"""What a diagnosis is known to miss: of which pair, whether the `layer` or the `cause`. See docs/diagnosis.md."""

MISSES: dict[str, tuple[str, ...]] = {
    "bert: query and key swapped": ("cause",),
    "temporal: first step for the last": ("cause",),
}
