"""`moorage serve`."""

import os
from pathlib import Path

import click


@click.command(name="serve")
@click.option("--config", required=True, metavar="FILE", type=click.Path(path_type=Path), help="YAML, or JSON.")
@click.option("--record", metavar="DIR", help="Write a scenario of each connection there (record.directory).")
@click.option("--take-over", is_flag=True, help="Take the place of the daemon that serves on `state`, if one does.")
@click.pass_context
def command(context: click.Context, config: Path, record: str | None, take_over: bool) -> None:
    """Serve in the foreground until INT or TERM.

    When logins are possible, one log line says so: code MOORAGE_READY, addresses in details.listen. INT and TERM stop
    accepting and give sessions time to end (shutdown.grace), a second one makes haste. HUP re-opens the log file and
    reads the configuration again, as `moorage reload` does.

    With --take-over the listening sockets are those of the daemon that serves: it goes on accepting until this one is
    ready, and then serves the connections that it has to their end. `moorage upgrade` starts it so.

    Exit codes: 0 stopped in order, 1 it could not start, 2 the configuration cannot be read.
    """
    from actors.upgrade import ATTEMPT_ENV
    from moorage.commands.daemon import read_config, serve_until_stopped

    attempt = os.environ.pop(ATTEMPT_ENV, "") if take_over else None
    context.exit(serve_until_stopped(config, read_config(config), record, lambda addresses: None, attempt))
