"""``adbench serve``: detectors as an HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adbench import UsageError

LOCAL = ("127.0.0.1", "localhost", "::1")
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")


@click.command("serve")
@click.argument("detectors", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.adbench...")
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
def command(detectors: tuple[Path, ...], host: str, port: int, token: str | None, **options: Any) -> int:
    """Answer over HTTP with detectors.

    A detector goes by the name of its file; the first answers where a request names none. SIGTERM or Ctrl-C stops the
    server when it has answered what it took.

    \b
    adbench serve bolt.adbench --port 8000
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    if host not in LOCAL and not token:
        raise UsageError(f"--host {host} can be reached from other machines; give --token TEXT or ADBENCH_TOKEN too")
    names = [file.stem for file in detectors]
    if len(set(names)) < len(names):
        raise UsageError("two detectors have the same file name; rename one, because requests choose by name")

    import uvicorn

    from adbench import Detector
    from adbench_serve.app import make_app

    app = make_app({file.stem: Detector.load(file, note=_note, **options) for file in detectors}, token=token)
    click.echo(f"{', '.join(names)}: http://{host}:{port}")
    uvicorn.run(app, host=host, port=port, log_level="warning")
    return 0


def _note(sentence: str) -> None:
    click.echo(sentence, err=True)
