"""`moorage upgrade`."""

import sys
from pathlib import Path

import click


@click.command(name="upgrade")
@click.option("--config", required=True, metavar="FILE", type=click.Path(path_type=Path), help="For the new process.")
@click.option("--record", metavar="DIR", help="Where the new process writes scenarios (record.directory).")
@click.pass_context
def command(context: click.Context, config: Path, record: str | None) -> None:
    """Replace the daemon that runs by this version of it.

    The daemon that serves on the configuration's `state` folder starts this version and lends it its listening
    sockets. When the new process is ready, the old one stops accepting, serves the connections that it has to their
    end, and ends. Nobody is refused and nobody is cut off. If the new process does not get ready within 60 s, the old
    one serves on and the reason is told.

    Exit codes: 0 the new process serves, 1 the old one serves on or none runs, 2 the configuration cannot be read.
    """
    from moorage.commands.daemon import read_config
    from moorage.upgrade import upgrade_command

    settings = read_config(config).settings
    context.exit(upgrade_command(config, Path(settings.state), record, sys.stdout, sys.stderr))
