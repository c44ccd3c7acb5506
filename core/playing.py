"""What courses in an environment share: the history of returns, the score of held-out episodes, and what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .environment import Environment
from .learning import Course, Learner, Picture
from .noise import Noise
from .technique import Arrays

SCORED = 100
RECENT = 20


class Playing(Course):
    """A course in environments side by side. `ACTED` names what `act` gives, whose largest is the best action."""

    ACTED = ""

    def __init__(self, spec: Any, data: Arrays, noise: Noise, count: int) -> None:
        super().__init__(spec, data, noise)
        labels = [f"episode of {place}" for place in range(count)] if count > 1 else ["episode"]
        self.environments = [Environment(spec, noise.seed, label) for label in labels]
        self.returns: list[tuple[int, float]] = []

    def observations(self) -> NDArray[np.float64]:
        """What is seen now, (environments, observation_size)."""
        return np.stack([environment.observation for environment in self.environments])

    def ended(self, environment: Environment, step: int) -> None:
        """Note what an episode came to, and start the next."""
        self.returns.append((step, environment.total))
        environment.begin(environment.number + 1)

    def state(self) -> Arrays:
        result = {"returns": np.array(self.returns)} if self.returns else {}
        for environment in self.environments:
            result |= environment.state()
        return result

    def restore(self, state: Arrays) -> None:
        self.returns = [(int(step), float(total)) for step, total in state.get("returns", ())]
        for environment in self.environments:
            environment.restore(state)

    def scores(self, learner: Learner) -> Mapping[str, float]:
        """Of episodes whose starts no training draws, each played by the best actions alone."""
        played = [Environment(self.spec, self.noise.seed, "held-out episode", number) for number in range(SCORED)]
        going = set(range(SCORED))
        while going:
            seen = np.stack([environment.observation for environment in played])
            best = learner.do("act", {"observations": seen})[self.ACTED].argmax(axis=-1)
            going -= {place for place in going if any(played[place].step(int(best[place]))[2:])}
        totals = np.array([environment.total for environment in played])
        return {"mean return": float(totals.mean()), "least return": float(totals.min())}

    def pictures(self, learner: Learner) -> Mapping[str, Picture]:
        if not self.returns:
            return {}
        steps, totals = np.array(self.returns).T
        means = [totals[max(0, end - RECENT) : end].mean() for end in range(1, len(totals) + 1)]
        labels = ("return", f"mean of the last {RECENT}")
        return {"returns": Picture("lines", np.stack([steps, totals, means], axis=1), labels)}
