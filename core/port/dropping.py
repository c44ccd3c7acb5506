"""What differs in training and is not seen in steps without dropout: the rates, and weights that train otherwise."""

from __future__ import annotations

from collections import Counter

from ..backend import SIDES
from .findings import Fault
from .layer import Step
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
    drops = {side: [step for step in porting.traces[side].steps if _drawn(step)] for side in SIDES}
    if (fault := _within(porting)) is not None:
        return fault
    counts = [Counter(_drawn(step) for step in drops[side]) for side in SIDES]
    if counts[0] == counts[1]:
        return None
    ours, theirs = ([_drawn(step) for step in drops[side]] for side in SIDES)
    place = next(
        (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), min(len(ours), len(theirs))
    )
    held = {side: drops[side][place] if place < len(drops[side]) else None for side in SIDES}
    told = " and ".join(
        f"{NAMES[side]} {_drawn(step)} at `{step.name}`" if step is not None else f"{NAMES[side]} drops nothing there"
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


def _drawn(step: Step) -> str:
    """What a step does by chance in training; nothing for one that does not."""
    rate = float(step.settings.get("rate") or 0)
    if step.role == "noise" and rate:
        return f"adds noise of {rate:g}"
    if step.role != "dropout" or not rate:
        return ""
    shared = int(step.settings.get("broadcast") or 0)
    return f"drops {rate:g}" + (f" of whole maps over {shared} axes" if shared else "")


def held_fast(porting: Porting) -> Fault | None:
    """A weight that one side trains and the other does not."""
    for match in porting.mapping.matches:
        trained = [porting.subjects[side].trains(pieces_of(match, side)[0].tensor) for side in SIDES]
        if match.trainable and trained[0] != trained[1]:
            one, other = ("PyTorch", "Keras") if trained[0] else ("Keras", "PyTorch")
            tensors = [pieces_of(match, side)[0].tensor for side in SIDES]
            text = (
                f"{one} trains this weight and {other} does not (`requires_grad` of `{tensors[0]}`, `trainable` of "
                f"`{tensors[1]}`)"
            )
            return Fault(match.layers[0], match.layers[1], "frozen", text)
    return None


def carried_on(porting: Porting) -> Fault | None:
    """A recurrent layer of Keras's that begins with the state in which the batch before left it."""
    for index, pair in enumerate(porting.pairs):
        if pair.keras.settings.get("stateful"):
            text = (
                f"Keras's `{pair.keras.name}` is stateful: it begins with the state in which the batch before left it, "
                f"and PyTorch's `{pair.torch.name}` anew"
            )
            return Fault(pair.torch.name, pair.keras.name, pair.torch.role, text, index)
    return None


def aside(porting: Porting) -> list[str]:
    """What Keras's fit would do beside the steps that were compared."""
    found = porting.subjects["keras"].aside()
    return [f"not compared, since the steps have a loss of their own: Keras's {what}" for what in found]
