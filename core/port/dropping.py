"""What differs in training and is not seen in steps without dropout: the rates, and weights that train otherwise."""

from __future__ import annotations

from collections import Counter

from ..backend import SIDES
from .layer import Step
from .locating import Fault
from .porting import Porting, pieces_of

NAMES = {"torch": "PyTorch", "keras": "Keras"}


def held_still(porting: Porting, notes: list[str]) -> dict[str, tuple[str, ...]]:
    """The tensors that are not trained in the check, by side: the second of two biases, whose sum is Keras's one.

    Both would take the same step, so that the sum would move twice as far: a difference that no port can mend.
    """
    found: dict[str, list[str]] = {side: [] for side in SIDES}
    for match in porting.mapping.matches:
        for side in SIDES:
            found[side] += [piece.tensor for piece in pieces_of(match, side)[1:]]
    for side, names in found.items():
        if names:
            notes.append(
                f"{NAMES[side]}'s {', '.join(dict.fromkeys(names))} is held still in the training steps: where one "
                "side has two biases and the other their sum, that sum would take two steps for one"
            )
    return {side: tuple(dict.fromkeys(names)) for side, names in found.items()}


def even_out(porting: Porting, notes: list[str]) -> None:
    """Let PyTorch's batch normalisation keep the biased variance where its partner does, in all that follows."""
    pairs = [pair for pair in porting.pairs if pair.torch.role == pair.keras.role == "batch_norm"]
    names = [
        pair.torch.layer
        for pair in pairs
        if pair.torch.settings.get("unbiased") is True and pair.keras.settings.get("unbiased") is False
    ]
    porting.subjects["torch"].biased = tuple(dict.fromkeys(names))
    if names:
        notes.append(
            f"in training PyTorch's batch normalisation ({names[0]}{' …' if len(names) > 1 else ''}) keeps the "
            "unbiased variance and Keras's the biased one, so running variances drift apart by one part in the number "
            "of samples; no setting mends that, and it was evened out here to see all else"
        )


def difference(porting: Porting) -> Fault | None:
    """Where one side drops and the other does not, or at another rate; dropout itself is off in the training steps."""
    drops = {side: [step for step in porting.traces[side].steps if _rate(step) > 0] for side in SIDES}
    if (fault := _within(porting)) is not None:
        return fault
    counts = [Counter(_rate(step) for step in drops[side]) for side in SIDES]
    if counts[0] == counts[1]:
        return None
    ours, theirs = ([_rate(step) for step in drops[side]] for side in SIDES)
    place = next(
        (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), min(len(ours), len(theirs))
    )
    held = {side: drops[side][place] if place < len(drops[side]) else None for side in SIDES}
    told = " and ".join(
        f"{NAMES[side]} drops {_rate(step):g} at `{step.name}`"
        if step is not None
        else f"{NAMES[side]} drops nothing there"
        for side, step in held.items()
    )
    names = {side: step.name if step is not None else "" for side, step in held.items()}
    cause = f"{told} (`rate`); the steps themselves were compared with dropout off"
    return Fault(names["torch"], names["keras"], "dropout", cause)


def _within(porting: Porting) -> Fault | None:
    """Attention that drops at another rate than its partner."""
    for index, pair in enumerate(porting.pairs):
        one, other = (float(step.settings.get("dropout") or 0) for step in (pair.torch, pair.keras))
        if pair.torch.role == pair.keras.role and one != other:
            cause = (
                f"PyTorch drops {one:g} inside `{pair.torch.name}` and Keras {other:g} inside `{pair.keras.name}` "
                "(`dropout`); the steps themselves were compared with dropout off"
            )
            return Fault(pair.torch.name, pair.keras.name, pair.torch.role, cause, index)
    return None


def _rate(step: Step) -> float:
    return float(step.settings.get("rate") or 0) if step.role == "dropout" else 0.0
