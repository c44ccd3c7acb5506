"""The time in which the weights of torchvision's ResNet-50 are in either sibling, from its file and from its model."""

from __future__ import annotations

import json
import subprocess
import sys

TITLE = "Loading another library's weights"
ROUNDS = 3
CHILD = """
import json, os, sys, tempfile, time
import torch
library = torch.library.Library("torchvision", "DEF")  # without its operators, torchvision may not be importable
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
import diglot
from torchvision.models import resnet50
spec, net = diglot.spec("resnet50"), resnet50()
found = {}
with tempfile.TemporaryDirectory() as folder:
    torch.save(net.state_dict(), path := os.path.join(folder, "resnet50.pth"))
    for side in ("torch", "keras"):
        model = diglot.build(spec, side)
        for kind, origin in (("file", path), ("live model", net)):
            start = time.perf_counter()
            diglot.set_state(model, diglot.load_pretrained(spec, origin, source="torchvision"))
            found[f"{kind}, {side}"] = time.perf_counter() - start
json.dump(found, sys.stdout)
"""


def measure() -> str:
    """A Markdown table: the first load in a new process, the best of three of them."""
    runs = []
    for _ in range(ROUNDS):
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    text = "| from and into | seconds |\n|---|---|\n"
    for name in runs[0]:
        text += f"| {name} | {min(run[name] for run in runs):.2f} |\n"
    return text
