"""The command `moorage`. Subcommands are imported when they are called, so that `moorage --version` costs nothing."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from moorage.version import VERSION

# In the order in which people meet them; each is the click command `command` of moorage/commands/<module>.py.
COMMANDS: Mapping[str, str] = {
    "up": "up",
    "serve": "serve",
    "check-config": "check_config",
    "explain": "explain",
    "migrate": "migrate",
    "hash-password": "hash_password",
    "guest-image": "guest_image",
    "status": "status",
    "upgrade": "upgrade",
    "reload": "reload",
    "demo": "demo",
    "replay": "replay",
    "simulate": "simulate",
    "diagram": "diagram",
    "codes": "codes",
}


class Lazy(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: Any = import_module(f"moorage.commands.{COMMANDS[name]}").command
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 it failed and stderr says why in one sentence, 2 the command line is wrong. "
    "Where a command has others, its own --help lists them.",
)
@click.version_option(VERSION, prog_name="moorage", message="%(prog)s %(version)s")
def main() -> None:
    """An SSH server that lands every login in its own container."""
