"""Rows of a table by index: of which column, from which first index, and scaled how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits, factor, settled


def lookup(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which rows of `table` (tokens, channels) the output (…, channels) holds, by whole numbers (…)."""
    table, x, y = tensors.get("table"), np.asarray(inputs[0]), np.asarray(output, np.float64)
    if table is None or table.ndim != 2 or x.dtype.kind not in "iuf" or y.shape[-1:] != table.shape[1:]:
        return
    indices = x.astype(np.int64)
    if not np.array_equal(indices, x):
        return
    columns = {"": indices}
    if indices.ndim > 1:
        columns |= {f", of column {place}": indices[..., place] for place in range(min(indices.shape[-1], 64))}
    for words, chosen in columns.items():
        if (*chosen.shape, table.shape[1]) != y.shape:
            continue
        for first, told in ((0, ""), (1, ", counted from 1"), (-1, ", one row further")):
            rows = chosen - first
            if rows.min(initial=0) < 0 or rows.max(initial=0) >= len(table):
                continue
            taken = np.asarray(table, np.float64)[rows]
            yield Found("lookup", f"rows of its table{words}{told}", digits(taken, y))
            scale = settled(y[taken != 0] / taken[taken != 0])
            if scale and scale != 1:
                name = f"{factor(scale, table.shape)} times rows of its table{words}{told}"
                yield Found("lookup", name, digits(scale * taken, y))
