"""The house: the same files in all trees, the same public names in the siblings, and a core without a framework."""

from __future__ import annotations

import ast
import subprocess
import sys
import unittest
from pathlib import Path

from diglot.core import registry
from parameterized import parameterized

ROOT = Path(__file__).parents[1]
TREES = ("core", "torch_impl", "keras_impl")
FOLDERS = ("architectures", "techniques")
PIECES = ("attention.py", "cache.py", "embedding.py", "feed_forward.py")
MIRRORED = (*PIECES, "backend.py", "clipping.py", "fitting.py", "foreign.py", "hub.py", "initializers.py", "layout.py",
            "learning.py", "losses.py", "meta_learning.py", "mixing.py", "moving.py", "port/handover.py",
            "port/live.py", "port/rules.py", "practice.py", "tensorboard.py", "tracing.py")  # fmt: skip

# Where the frameworks' own classes carry a convention, each side names the one that it lacks.
FOREIGN = {
    "techniques/batch_norm.py": {"BiasedBatchNorm1d", "BiasedBatchNorm2d", "biased", "UnbiasedBatchNormalization"},
    "techniques/preprocess.py": {"resize"},
    "techniques/adafactor.py": {"Adafactor"},
    "techniques/lion.py": {"Lion"},
    "techniques/gradient_accumulation.py": {"Accumulation"},
    "techniques/curriculum.py": {"Count", "Curriculum"},
    "techniques/early_stopping.py": {"EarlyStopping"},
    "techniques/reduce_on_plateau.py": {"ReduceOnPlateau"},
    "layout.py": {"path", "native", "to_native", "to_canonical", "inputs_to_native", "layer", "variable"},
    "hub.py": {"library"},
    "attention.py": {"fused"},
    "backend.py": {"walk", "running", "loss_of"},
    "port/live.py": {"drawn"},
}


def siblings() -> list[tuple[str]]:
    found = [f"{folder}/{path.name}" for folder in FOLDERS for path in sorted((ROOT / "core" / folder).glob("*.py"))]
    return [(name,) for name in (*found, *MIRRORED)]


def public(tree: str, name: str) -> list[str]:
    """The public classes, methods and functions of a file in order, with their parameters and defaults."""
    body = ast.parse((ROOT / tree / name).read_text(encoding="utf-8")).body
    networks = name.startswith("architectures/") or name in PIECES
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            found.append(node.name)
            found += [f"{node.name}.{text}" for item in node.body if (text := signature(item, networks))]
        elif text := signature(node, networks):
            found.append(text)
    ignored = FOREIGN.get(name, set())
    return [text for text in found if text.split("(")[0].split(".")[0] not in ignored]


PRESCRIBED = {"forward", "call", "step", "update_step", "get_config", "compute_output_shape", "train", "make_variables",
              "on_train_begin", "on_epoch_begin", "on_epoch_end", "get_lr", "compile", "get_compile_config",
              "compile_from_config", "train_step", "test_step"}  # fmt: skip


def signature(node: ast.stmt, networks: bool) -> str | None:
    """`name(parameters)` of a public function; what a framework prescribes is left to it.

    Of a network, PyTorch's `forward` stands beside Keras's `call`, and what Keras passes on as `training`, PyTorch
    keeps in the module.
    """
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
        return None
    passes = networks and node.name in ("forward", "call")
    if node.name in PRESCRIBED and not passes:
        return None
    arguments = node.args
    for item in filter(None, (*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)):
        item.annotation = None
    if networks and arguments.args and arguments.args[-1].arg == "training":
        arguments.args.pop()
        arguments.defaults.pop()
    arguments.args = [item for item in arguments.args if item.arg != "self"]
    return f"{'forward' if passes else node.name}({ast.unparse(arguments)})"


class Mirror(unittest.TestCase):
    def test_the_same_files_in_all_trees(self) -> None:
        for folder in FOLDERS:
            files = [{path.name for path in (ROOT / tree / folder).glob("*.py")} for tree in TREES]
            self.assertEqual(files[0], files[1])
            self.assertEqual(files[0], files[2])

    @parameterized.expand(siblings())
    def test_the_same_public_names(self, name: str) -> None:
        self.assertEqual(public("torch_impl", name), public("keras_impl", name))

    def test_a_missing_method_is_seen(self) -> None:
        self.assertIn("slots(optimizer, weights)", public("torch_impl", "techniques/sgd.py"))
        network = public("keras_impl", "architectures/transformer_lm.py")
        self.assertIn("TransformerLM.embed(tokens, token_types=None, start=0)", network)
        self.assertIn("TransformerBlock.forward(x, attention_mask=None, cache=None)", network)

    def test_each_side_names_only_itself(self) -> None:
        for side, other in (("torch_impl", ("keras", "tensorflow")), ("keras_impl", ("torch",))):
            for path in (ROOT / side).rglob("*.py"):
                self.assertFalse(imported(path) & {*other, "torch_impl", "keras_impl"} - {side}, path)

    def test_core_names_no_framework(self) -> None:
        for path in (ROOT / "core").rglob("*.py"):
            self.assertFalse(imported(path) & {"torch", "keras", "tensorflow", "torch_impl", "keras_impl"}, path)


def imported(path: Path) -> set[str]:
    """The top-level packages and relative modules that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= set((node.module or "").split("."))
    return found


class Lightness(unittest.TestCase):
    """What needs no framework imports none, shown in a process of its own."""

    def silent(self, code: str) -> None:
        check = "import sys; bad = {'torch', 'keras', 'tensorflow'} & set(sys.modules); sys.exit(', '.join(bad) or 0)"
        done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_importing_diglot(self) -> None:
        self.silent("import diglot")

    def test_every_module_of_core(self) -> None:
        modules = [path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "core").rglob("*.py")]
        names = [".".join(("diglot", *parts)).removesuffix(".__init__") for parts in modules]
        self.silent("import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names))

    @parameterized.expand(
        [("list",), ("techniques",), ("techniques adam",), ("show resnet18",), ("show adam",), ("--help",)]
    )
    def test_command(self, line: str) -> None:
        self.silent(
            f"import contextlib, io, sys\nsys.argv = ['diglot', *{line.split()!r}]\nfrom diglot.cli import main\n"
            "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n    main()"
        )

    def test_specs_states_and_files(self) -> None:
        self.silent(
            "import diglot, tempfile, os\nspec = diglot.spec('resnet_small')\nstate = diglot.initial_state(spec)\n"
            "path = os.path.join(tempfile.mkdtemp(), 'x')\ndiglot.save(path, spec, state)\ndiglot.load(path)"
        )

    def test_registry_finds_all(self) -> None:
        found = {path.stem for folder in FOLDERS for path in (ROOT / "core" / folder).glob("*.py")} - {"__init__"}
        self.assertEqual(found, {*registry.architectures(), *registry.techniques()})
