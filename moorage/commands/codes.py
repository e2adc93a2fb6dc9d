"""`moorage codes`."""

import io

import click

from moorage.commands.problem import Problem


@click.command(name="codes")
@click.argument("code", required=False)
@click.option("--format", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def command(code: str | None, format: str) -> None:
    """List the message codes, or explain one.

    Each with its level, its meaning, what the user reads, and the rows that emit it.

    Exit codes: 0 listed, 2 there is no such code and stderr names the nearest.
    """
    from moorage.codes import codes_command

    out = io.StringIO()
    if status := codes_command(code, format, out):
        raise Problem(out.getvalue().strip().removeprefix("moorage "), status)
    click.echo(out.getvalue(), nl=False)
