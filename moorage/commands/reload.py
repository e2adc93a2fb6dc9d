"""`moorage reload`."""

import io
from pathlib import Path

import click


@click.command(name="reload")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Whose daemon (its `state` folder).")
@click.option("--state", metavar="DIR", type=click.Path(path_type=Path), default=Path("var"), show_default=True)
def command(config: Path | None, state: Path) -> None:
    """Let the running daemon read its configuration again.

    What is new is printed, secrets aside, and what waits for a restart is marked. Connections that are there keep what
    they have. A configuration that cannot be used is refused with all that is wrong, and the old one stays.

    Exit codes: 0 it is in force, 1 it was refused, or no daemon serves there, 2 the file cannot be read.
    """
    from moorage.commands.problem import Problem
    from moorage.config import Unreadable
    from moorage.reload import reload_command, state_of

    out = io.StringIO()
    try:
        code = reload_command(state if config is None else state_of(config), out)
    except Unreadable as error:
        raise Problem(str(error), 2) from error
    if code:
        raise Problem(out.getvalue().strip(), code)
    click.echo(out.getvalue(), nl=False)
