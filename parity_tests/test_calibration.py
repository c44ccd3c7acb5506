"""What the margin is held against is what the catalogue holds."""

from __future__ import annotations

import json
import unittest

from diglot.core import calibration, verdict

from .planted import catalogue


class Calibration(unittest.TestCase):
    def setUp(self) -> None:
        self.recorded = json.loads(calibration.FILE.read_text(encoding="utf-8"))

    def test_every_planted_bug_is_recorded(self) -> None:
        recorded = [(bug["spec"], bug["side"], bug["name"]) for bug in self.recorded["bugs"]]
        self.assertCountEqual(recorded, [(bug.spec.name, bug.side, bug.name) for bug in catalogue()])

    def test_the_mildest_is_the_smallest(self) -> None:
        ratios = [bug["ratio"] for bug in self.recorded["bugs"] if bug["ratio"] is not None]
        planted = calibration.planted()
        assert planted is not None
        self.assertEqual(planted.ratio, min(ratios))
        self.assertGreater(planted.ratio, verdict.DOUBT[1])
