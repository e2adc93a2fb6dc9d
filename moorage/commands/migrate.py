"""`moorage migrate`."""

import sys
from pathlib import Path

import click


@click.command(name="migrate")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, file: Path) -> None:
    """Rewrite an old ContainerSSH configuration.

    The new file goes to stdout: `moorage migrate OLD.yaml > NEW.yaml`. Each change is explained in a comment, and the
    comments of the old one stay where they can.
    What has to be changed by hand is said on stderr.

    Exit codes: 0 the new file is usable, 1 not yet, 2 the old file cannot be read.
    """
    from moorage.migrate import migrate

    context.exit(migrate(file, sys.stdout, sys.stderr))
