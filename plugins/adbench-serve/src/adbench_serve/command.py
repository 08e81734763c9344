"""``adbench serve``: detectors as an HTTP server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench import StorageError, UsageError

if TYPE_CHECKING:
    from adbench import Detector

LOCAL = ("127.0.0.1", "localhost", "::1")
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")


class Learning(NamedTuple):
    """What a detector learns from before it answers.

    Attributes:
        normal: the folder of normal images; None for a detector that has learned.
        recipe: the method.
        threshold: the rule; None for the usual one.
        out: the file to keep it in; None for none.
    """

    normal: Path | None
    recipe: str | None
    threshold: str | None
    out: Path | None


@click.command("serve")
@click.argument("detectors", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE.adbench]...")
@click.option("--normal", type=click.Path(path_type=Path), metavar="DIR", help="Normal images to learn from first.")
@click.option("--recipe", metavar="NAME|FILE", help="The method that learns from them; see 'adbench list recipe'.")
@click.option("--threshold", metavar="RULE", help="Their threshold: conformal, conformal:alpha=0.01, sigma:k=3.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.adbench",
    help="Keep what was learned in this file; without it, it is gone when the server stops.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port.")
@click.option("--token", envvar="ADBENCH_TOKEN", metavar="TEXT", help="What clients must send.")
@click.option(
    "--weights",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file that a detector was made with and does not hold.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute.")
@click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", help="What computes the backbone.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Images at a time.")
def command(detectors: tuple[Path, ...], host: str, port: int, token: str | None, **given: Any) -> int:
    """Answer over HTTP with detectors.

    A detector goes by the name of its file; the first answers where a request names none. SIGTERM or Ctrl-C stops the
    server when it has answered what it took.

    With --normal and --recipe, a detector learns from a folder of normal images and then answers.

    \b
    adbench serve bolt.adbench --port 8000
    adbench serve --recipe patchcore-lite --normal good/ --out bolt.adbench
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    if host not in LOCAL and not token:
        raise UsageError(f"--host {host} can be reached from other machines; give --token TEXT or ADBENCH_TOKEN too")
    learning = Learning(*(given.pop(name) for name in Learning._fields))
    _require_one_way(detectors, learning, given["files"])
    _require_free(host, port)
    if learning.out is not None:
        _require_folder(learning.out)

    import uvicorn

    from adbench_serve.app import make_app

    answering = _loaded(detectors, given) if learning.normal is None else _learned(learning, given)
    app = make_app(answering, token=token)
    click.echo(f"{', '.join(answering)}: http://{host}:{port}")
    uvicorn.run(app, host=host, port=port, log_level="warning")
    return 0


def _require_one_way(detectors: tuple[Path, ...], learning: Learning, weights: tuple[Path, ...]) -> None:
    """Require detectors, or normal images with a recipe, and not both.

    Raises:
        UsageError: it is neither, both, or half of one.
    """
    if learning.normal is None and any(learning):
        raise UsageError("--recipe, --threshold and --out are for a detector that learns first; give --normal DIR, too")
    if not detectors and learning.normal is None:
        raise UsageError("give a detector (FILE.adbench), or --recipe NAME and --normal DIR to fit one first")
    if detectors and learning.normal is not None:
        raise UsageError(
            f"{detectors[0].name} has learned already, and --normal fits another detector; give one of the two"
        )
    if learning.normal is not None and learning.recipe is None:
        raise UsageError("--normal needs a method; give --recipe NAME, such as patchcore-lite")
    if learning.normal is not None and weights:
        raise UsageError("--weights is for files of detectors that were saved; a recipe names its own")
    names = [file.stem for file in detectors]
    if len(set(names)) < len(names):
        raise UsageError("two detectors have the same file name; rename one, because requests choose by name")


def _require_free(host: str, port: int) -> None:
    """Require an address that can be listened on, before anything is loaded or learned.

    Raises:
        UsageError: it cannot.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}; give another --port or --host"
        ) from None


def _require_folder(out: Path) -> None:
    """Require a folder for the file of a detector that is yet to learn.

    Raises:
        StorageError: it is not there, or cannot be written.
    """
    folder = out.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"{folder} is no folder that can be written; give --out another place")


def _loaded(files: tuple[Path, ...], options: dict[str, Any]) -> dict[str, Detector]:
    from adbench import Detector

    return {file.stem: Detector.load(file, note=_note, **options) for file in files}


def _learned(learning: Learning, options: dict[str, Any]) -> dict[str, Detector]:
    """A detector that learns now, by the name of its file or recipe."""
    from adbench import Detector

    computing = {name: value for name, value in options.items() if name != "files"}
    detector = Detector(learning.recipe, note=_note, **computing)
    detector.fit(str(learning.normal), threshold=learning.threshold or "conformal")
    if learning.out is not None:
        _keep(detector, learning.out)
    return {Path(learning.out or str(learning.recipe)).stem: detector}


def _keep(detector: Detector, out: Path) -> None:
    """Write the detector's file; it serves even where that cannot be done."""
    try:
        click.echo(f"written: {detector.save(out)}")
    except StorageError as error:
        _note(f"{error}; the detector serves all the same, and is gone when the server stops")


def _note(sentence: str) -> None:
    click.echo(sentence, err=True)
