"""`moorage up`: from nothing to a login in one command."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from protocol.settings import Settings


@click.command(name="up")
@click.option(
    "--folder",
    default="var",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where configuration, keys and state are.",
)
@click.option("--record", metavar="DIR", help="Write a scenario of each connection there (record.directory).")
@click.pass_context
def command(context: click.Context, folder: Path, record: str | None) -> None:
    """Find or start an engine, make the guest image, and serve.

    The first run writes a commented configuration, a host key and a demo login key into the folder; later ones use
    what is there. As root on Debian or Ubuntu a missing Docker is installed and started; a dockerd that was started
    goes on after Moorage has ended.

    Exit codes: 0 stopped in order, 1 it could not start, 2 the configuration cannot be read.
    """
    from moorage.commands.daemon import FAILURES, read_config, serve_until_stopped
    from moorage.commands.problem import sentences
    from moorage.debian import bring, program
    from moorage.dockerd import bring_engine
    from moorage.first_run import DEMO_USER, as_text, prepare, ssh_line
    from moorage.guest_image import make_guest_image
    from protocol.settings import GUEST_IMAGE

    with sentences(*FAILURES):
        home = prepare(folder, GUEST_IMAGE)
        reading = read_config(home.config)
        settings = reading.settings
        bring(needs(settings), click.echo)
        if dockerd := bring_engine(folder, settings.docker.connection.host, click.echo):
            click.echo(f"Docker goes on when Moorage has ended; `kill {dockerd.pid}` stops it")
        if settings.docker.execution.container.get("Image") == GUEST_IMAGE:
            make_guest_image(settings.docker.connection, GUEST_IMAGE, click.echo)

    def on_ready(addresses: list[tuple[str, int]]) -> None:
        if DEMO_USER in settings.auth.users and home.demo_key.exists():
            line = ssh_line(home, addresses[0], settings.ssh.hostkeys)
            click.echo(
                f"\nMoorage is ready. Log in from another terminal; Ctrl-C here ends it.\n\n    {as_text(line)}\n"
            )
            if program("ssh") is None:
                click.echo("There is no `ssh` on this machine: `apt-get install openssh-client` as root brings it.\n")

    context.exit(serve_until_stopped(home.config, reading, record, on_ready))


def needs(settings: "Settings") -> list[str]:
    """What serving takes from the system, and, where it can be had at once, the ssh that the printed line calls."""
    from moorage.debian import may_install
    from protocol.settings import GUEST_IMAGE

    wanted = [] if settings.docker.connection.host else ["engine"]
    if settings.docker.execution.container.get("Image") == GUEST_IMAGE:
        wanted.append("guest")
    return [*wanted, "login"] if may_install() else wanted
