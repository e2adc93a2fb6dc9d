"""`moorage hash-password`."""

import sys

import click

from moorage.commands.problem import Problem


@click.command(name="hash-password")
def command() -> None:
    """Read a password and print its hash.

    The hash is for `auth.users.NAME.passwordHash`. On a terminal the password is asked for twice and not shown; else it
    is the first line of standard input.
    """
    from actors.passwords import make_hash

    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        click.echo(make_hash(password))
    except ValueError as error:
        raise Problem(str(error)) from error
