"""The `diglot` command. Exit status: 0 parity holds, 1 it does not, 2 the request was wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from .core.errors import DiglotError, ReportError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Each neural network once as a spec and twice as code, in PyTorch and in Keras, proven to be the same.",
)


def main() -> None:
    """Run the command line. A wrong request is one sentence on standard error and exit status 2."""
    try:
        app()
    except DiglotError as error:
        print(f"diglot: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as a program that the signal of a broken pipe ends


def version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        print(f"diglot {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        Optional[bool], typer.Option("--version", callback=version, is_eager=True, help="Print the version.")  # noqa: UP045
    ] = None,
) -> None:
    """Options of the command itself."""


@app.command("list")
def list_all() -> None:
    """Architectures, presets and techniques, with parameter counts."""
    from .listing import show_list

    show_list()


@app.command()
def techniques(name: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None) -> None:
    """Every technique, with each framework's own class and where their defaults differ."""
    from .technique_table import show_techniques

    show_techniques(name)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An architecture, preset or technique.")],
    html: Annotated[Path | None, typer.Option(help="Write the page to this file instead.")] = None,
) -> None:
    """The spec, and both implementations side by side."""
    from .listing import show_one

    show_one(name, html)


@app.command()
def check(
    names: Annotated[Optional[list[str]], typer.Argument(help="Specs, presets or techniques; all if none.")] = None,  # noqa: UP045
    checks: Annotated[str | None, typer.Option(help="Only these checks, separated by commas.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float64 or float32; both if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every state, input and draw.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes to run the cells in.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Folder for the JSON, JUnit, Markdown and HTML reports.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that the report folder holds.")] = False,
) -> None:
    """Check that both sides are the same network, and say where they are not."""
    from .checking import run_check

    if resume and report is None:
        raise ReportError("--resume needs --report DIR, the folder of the run to go on with")
    chosen = checks.split(",") if checks is not None else None
    passed = run_check(names or None, chosen, dtype, seed, workers, report, resume)
    raise typer.Exit(0 if passed else 1)


@app.command()
def compare(
    torch: Annotated[str, typer.Argument(help="PyTorch's: module:attribute or path/to/file.py:attribute.")],
    keras: Annotated[str, typer.Argument(help="Keras's, likewise; an instance, or a function that makes one.")],
    inputs: Annotated[
        Optional[list[Path]], typer.Option(help="An .npz or .npy file of inputs in the Keras layout.")  # noqa: UP045
    ] = None,
    shape: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Or draw them: 2,32,32,3, 2,16:int:1000, mask=2,16:bool; once for each input."),
    ] = None,
    torch_inputs: Annotated[
        Optional[list[Path]], typer.Option(help="PyTorch's inputs, where permuted ones do not fit.")  # noqa: UP045
    ] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Which weight is which, as --write-map writes it.")
    ] = None,
    write_map: Annotated[Path | None, typer.Option(help="Write down which weight was taken for which.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a map file that is there.")] = False,
    ignore: Annotated[
        Optional[list[str]], typer.Option(help="A weight that may be left over, or a pattern.")  # noqa: UP045
    ] = None,
    checks: Annotated[
        str | None, typer.Option(help="Only these, with commas: weights, forward, gradients, training.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of drawn inputs and of every movement.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Folder for the JSON, JUnit, Markdown and HTML reports.")] = None,
) -> None:
    """Two models of your own: are they the same, and if not, at which layer do they part, and why?"""
    from .comparing import run_compare

    passed = run_compare(
        torch, keras, inputs or [], shape or [], torch_inputs or [], map_file=map_file, written=write_map, force=force,
        ignore=ignore or [], checks=None if checks is None else [word for word in checks.split(",") if word],
        seed=seed, folder=report,
    )  # fmt: skip
    raise typer.Exit(0 if passed else 1)


@app.command()
def convert(
    src: Annotated[str, typer.Argument(help="A file, an index of shards, a folder, an address or a hub name.")],
    dst: Annotated[
        Path, typer.Argument(help="Written by its suffix: .safetensors, .weights.h5, .keras, .h5, .pt, .pth or .bin.")
    ],
    spec: Annotated[str | None, typer.Option(help="The architecture or preset that the weights are of.")] = None,
    source: Annotated[str | None, typer.Option(help="Whose weights they are: torchvision, huggingface, …")] = None,
    fields: Annotated[
        Optional[list[str]], typer.Option("--set", help="A field of the spec, such as num_classes=10.")  # noqa: UP045
    ] = None,
    weight_map: Annotated[
        Path | None, typer.Option("--map", help="Of your own two models: which weight is which, as a file.")
    ] = None,
    max_shard_size: Annotated[
        str | None, typer.Option(help="Above it, write shards and an index: 500MB, 2GB, …")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """A checkpoint into another form: from another library, to either sibling, of your own models, and back."""
    from .converting import run_convert

    raise typer.Exit(run_convert(src, dst, spec, source, fields or [], weight_map, max_shard_size, dry_run, force))


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="What is trained: vae, gan, diffusion, dqn, maml, mlp, resnet, …")],
    backend: Annotated[str, typer.Option(help="torch, keras or both.")] = "both",
    steps: Annotated[int | None, typer.Option(min=1, help="How many steps in all.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; runs/NAME if not given.")] = None,
    fields: Annotated[
        Optional[list[str]], typer.Option("--set", help="A field of the spec, such as latent_dim=3.")  # noqa: UP045
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the initial weights and of every draw.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
) -> None:
    """Train on real data, on one side or on both from the same weights, batches and draws. The same command goes on."""
    from .converting import field
    from .run_side import Request
    from .running import run_training

    request = Request(name, dict(map(field, fields or [])), steps, seed, dtype, str(out or Path("runs") / name))
    try:
        run_training(request, sides_of(backend))
    except KeyboardInterrupt:
        print("diglot: interrupted; the same command goes on", file=sys.stderr)
        raise typer.Exit(130) from None


def sides_of(backend: str) -> tuple[str, ...]:
    """The sides that --backend asks for."""
    known = {"torch": ("torch",), "keras": ("keras",), "both": ("torch", "keras")}
    if backend not in known:
        raise ReportError(f"--backend is torch, keras or both, not {backend!r}")
    return known[backend]
