"""`diglot compare`: two models of the user's own by name, inputs from files or drawn, and what came of it in tables."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from . import compare
from .core.errors import DiglotError, InputError, StateError, nearest
from .core.noise import generator
from .core.port.alone import alone
from .core.port.mapfile import check_map, write_map
from .core.port.unmatched import Undecided
from .core.report import prepare
from .core.report.compared import show

BELOW = 10  # whole numbers are drawn below this, if not said otherwise


def run_compare(
    torch_name: str,
    keras_name: str,
    files: Sequence[Path],
    shapes: Sequence[str],
    torch_files: Sequence[Path],
    *,
    map_file: Path | None,
    written: Path | None,
    force: bool = False,
    ignore: Sequence[str],
    checks: Sequence[str] | None,
    seed: int,
    folder: Path | None,
) -> bool:
    """Compare, print, save, and say whether parity holds."""
    if written is not None:
        check_map(written, force)
    if folder is not None:
        prepare(folder)
    inputs = drawn(shapes, seed) if shapes else arrays_of(files, "--inputs")
    if shapes and files:
        raise InputError("--inputs and --shape both give the inputs; use one of them")
    if inputs is None:
        raise InputError("compare needs inputs: --inputs FILE.npz, or --shape such as 2,32,32,3, in the Keras layout")
    with alone():
        models = [found(name) for name in (torch_name, keras_name)]
    options = {"map": map_file, "ignore": tuple(ignore), "checks": checks, "seed": seed}
    own = arrays_of(torch_files, "--torch-inputs")
    with Console(stderr=True).status("running both models in float64"):
        try:
            report = compare(*models, inputs, torch_inputs=own, **options)
        except Undecided as error:
            if written is None:
                raise
            write_map(written, error.mapping, error.groups)
            told = f"{error}. {written} holds what was found, and the rest as candidates; correct it for --map"
            raise StateError(told) from error
    show(report, Console())
    if written is not None and report.mapping is not None:
        write_map(written, report.mapping)
        print(f"which weight was taken for which is written to {written}")
    if folder is not None:
        report.save(folder)
        print(f"reports written to {folder}/")
    return report.passed


def found(name: str) -> Any:
    """The model or factory that `module:attribute` or `path/to/file.py:attribute` names.

    The current folder is importable, and so is that of a file. Raises InputError that says what is missing.
    """
    source, colon, attribute = name.rpartition(":")
    if not colon or not source or not attribute:
        raise InputError(
            f"{name!r} names no model; give module:attribute or path/to/file.py:attribute, of an instance or a "
            "function that makes one"
        )
    module = _loaded(source)
    value = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            public = [each for each in vars(value) if not each.startswith("_")] if hasattr(value, "__dict__") else []
            raise InputError(f"{source} has no {attribute}{nearest(part, public)}")
        value = getattr(value, part)
    return value


def _loaded(source: str) -> Any:
    for folder in (str(Path(source).resolve().parent) if source.endswith(".py") else None, os.getcwd()):
        if folder is not None and folder not in sys.path:
            sys.path.insert(0, folder)
    if source.endswith(".py"):
        return _from_file(Path(source))
    try:
        with _bare(source):
            return importlib.import_module(source)
    except DiglotError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (source == error.name or source.startswith(f"{error.name}.")):
            raise InputError(f"there is no module {source} here; name a module, or a file such as model.py") from error
        raise InputError(f"{source} cannot be imported: {_said(error)}") from error
    except Exception as error:
        raise InputError(f"{source} cannot be imported: {_said(error)}") from error


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    name = path.stem if path.stem.isidentifier() else f"model_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported; name a file of Python")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # where classes of the file are looked up
    try:
        with _bare(str(path)):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        if isinstance(error, (DiglotError, SystemExit)):
            raise
        raise InputError(f"{path} cannot be imported: {_said(error)}") from error
    return module


@contextlib.contextmanager
def _bare(source: str) -> Iterator[None]:
    """A script that reads its command line is given none, and not ours."""
    before = sys.argv
    sys.argv = [source]
    try:
        yield
    finally:
        sys.argv = before


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"


def arrays_of(files: Sequence[Path], option: str) -> Any:
    """The arrays of .npy and .npz files: one alone, several in order, or by the names that the user gave them.

    Raises InputError for a file that cannot be read or holds no arrays of numbers.
    """
    loaded: list[Any] = []
    names: dict[str, Any] = {}
    for path in files:
        try:
            content = np.load(path, allow_pickle=False)
            if isinstance(content, np.ndarray):
                loaded.append(content)
                continue
            with content:
                held = {name: content[name] for name in content.files}
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else "it is no file of NumPy arrays"
            raise InputError(f"{option} {path} cannot be read: {said}; write it by np.savez") from error
        plain = {f"arr_{index}" for index in range(len(held))}
        if set(held) == plain:
            loaded += [held[f"arr_{index}"] for index in range(len(held))]
        elif clash := sorted(set(held) & set(names)):
            raise InputError(f"{option} {path} holds {clash[0]!r} once more; each input comes once")
        else:
            names |= held
    if loaded and names:
        raise InputError(f"{option} gives some arrays by name and some without; name all of them or none")
    if not files:
        return None
    if not loaded and not names:
        raise InputError(f"{option} {files[0]} holds no array")
    return names or (loaded[0] if len(loaded) == 1 else loaded)


def drawn(shapes: Sequence[str], seed: int) -> Any:
    """Random inputs: `2,32,32,3` are normal numbers, `2,16:int:1000` whole ones below 1000, `mask=2,16:bool` by name.

    Raises InputError for what is none of these.
    """
    named, plain = {}, []
    for place, text in enumerate(shapes):
        name, equals, rest = text.rpartition("=")
        array = _drawn(rest, text, generator(seed, f"input {name or place}"))
        if equals:
            named[name] = array
        else:
            plain.append(array)
    if named and plain:
        raise InputError("--shape gives some inputs by name and some without; name all of them or none")
    return named or (plain[0] if len(plain) == 1 else plain)


def _drawn(rest: str, text: str, rng: np.random.Generator) -> Any:
    sizes, _, kind = rest.partition(":")
    word, _, below = kind.partition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(",") if size)
        high = int(below) if below else BELOW
    except ValueError:
        shape, high = (), 0
    if not shape or min(shape) < 1 or high < 1 or word not in ("", "float", "int", "bool") or (below and word != "int"):
        raise InputError(f"--shape {text!r} is none; give sizes such as 2,32,32,3, 2,16:int:1000 or mask=2,16:bool")
    try:
        if word == "int":
            return rng.integers(0, high, shape)
        return rng.random(shape) < 0.5 if word == "bool" else rng.standard_normal(shape)
    except (MemoryError, ValueError) as error:  # the latter above the largest size of an array
        raise InputError(f"--shape {text!r} does not fit into memory; give smaller sizes") from error
