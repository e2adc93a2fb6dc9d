"""`moorage demo`."""

from pathlib import Path

import click


@click.command(name="demo")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep everything there, instead of in a folder that is removed.",
)
def command(folder: Path | None) -> None:
    """Show one login from start to end.

    Serve, log in, run a command, tell and replay what was recorded, draw its path, stop.
    Each command is printed before it runs. Needs an engine and OpenSSH's ssh; as root on Debian or Ubuntu what is
    missing is installed.
    """
    from moorage.commands.daemon import FAILURES
    from moorage.commands.problem import sentences
    from moorage.demo import DemoFailed, run_demo

    with sentences(*FAILURES, DemoFailed):
        run_demo(folder, click.echo)
