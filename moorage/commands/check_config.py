"""`moorage check-config`."""

import sys
from pathlib import Path

import click


@click.command(name="check-config")
@click.option("--containerssh", is_flag=True, help="Also say what is different from ContainerSSH with this file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, file: Path, containerssh: bool) -> None:
    """Say whether a configuration can be used.

    The answer is `ok`, or each problem with what was found and what is allowed.

    Exit codes: 0 usable, 1 not usable, 2 the file cannot be read.
    """
    from moorage.config import check_config

    context.exit(check_config(file, sys.stdout, containerssh))
