"""`moorage serve`."""

from pathlib import Path

import click


@click.command(name="serve")
@click.option("--config", required=True, metavar="FILE", type=click.Path(path_type=Path), help="YAML, or JSON.")
@click.option("--record", metavar="DIR", help="Write a scenario of each connection there (record.directory).")
@click.pass_context
def command(context: click.Context, config: Path, record: str | None) -> None:
    """Serve in the foreground until INT or TERM.

    When logins are possible, one log line says so: code MOORAGE_READY, addresses in details.listen. INT and TERM stop
    accepting and give sessions time to end (shutdown.grace), a second one makes haste. HUP re-opens the log file and
    reads the configuration again, as `moorage reload` does.

    Exit codes: 0 stopped in order, 1 it could not start, 2 the configuration cannot be read.
    """
    from moorage.commands.daemon import read_config, serve_until_stopped

    context.exit(serve_until_stopped(config, read_config(config), record, lambda addresses: None))
