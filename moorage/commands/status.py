"""`moorage status`."""

import sys
from pathlib import Path

import click


@click.command(name="status")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Whose daemon (its `state` folder).")
@click.option("--state", metavar="DIR", type=click.Path(path_type=Path), default=Path("var"), show_default=True)
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def command(context: click.Context, config: Path | None, state: Path, format: str) -> None:
    """Say what the running daemon is doing.

    Every actor is listed with its state and the deadlines it has armed.

    Exit codes: 0 said, 1 no daemon runs there.
    """
    from moorage.status import status_command

    if config is not None:
        from moorage.commands.daemon import read_config

        state = Path(read_config(config).settings.state)
    context.exit(status_command(state, format, sys.stdout))
