"""A table that is wider than its terminal: names lose their beginnings, which say less than their ends."""

from __future__ import annotations

from collections.abc import Sequence

Rows = list[list[str]]

LEAST = 12
"""A name is not cut to less than so many characters; a narrower terminal breaks it over lines."""

NEAR = 3


def shortened(text: str, width: int) -> str:
    """The end of a name in so many characters, from a dot or a slash on where one is near: `…layers.0.norm1`."""
    if len(text) <= width:
        return text
    kept = text[len(text) - max(width - 1, 1) :]
    part = min((place for place in map(kept.find, "./") if place >= 0), default=len(kept))
    return f"…{kept[part + 1 :] if part < NEAR else kept}"


def shares(natural: Sequence[int], room: int) -> list[int]:
    """How many characters each of some columns gets of those that there are; what one leaves goes to the others."""
    given = [0] * len(natural)
    waiting = sorted(range(len(natural)), key=lambda place: natural[place])
    for number, place in enumerate(waiting):
        given[place] = min(natural[place], max(room // (len(waiting) - number), LEAST))
        room -= given[place]
    return given


def fitted(rows: Sequence[Sequence[str]], elastic: Sequence[str], droppable: Sequence[str], width: int) -> Rows:
    """The rows, their first the heading, with what fits side by side in a width, two spaces behind each column.

    `droppable` columns go, in this order, where the `elastic` ones would be cut to less than `LEAST`; these are cut.
    """
    places = list(range(len(rows[0])))
    for name in ("", *droppable):
        places = [place for place in places if not name or rows[0][place] != name]
        natural = {place: max(len(row[place]) for row in rows) for place in places}
        names = [place for place in places if rows[0][place] in elastic]
        rest = width - 2 * len(places) - sum(natural[place] for place in places if place not in names)
        if rest >= sum(min(natural[place], LEAST) for place in names):
            break
    given = natural | dict(zip(names, shares([natural[place] for place in names], rest), strict=True))
    return [[shortened(row[place], given[place]) for place in places] for row in rows]
