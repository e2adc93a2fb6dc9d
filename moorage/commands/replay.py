"""`moorage replay`."""

import sys

import click


@click.command(name="replay")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--explain", is_flag=True, help="Tell what happened, in sentences.")
@click.option("--accept", is_flag=True, help="Rewrite the recorded answers to today's; events are never touched.")
@click.pass_context
def command(context: click.Context, files: tuple[str, ...], explain: bool, accept: bool) -> None:
    """Prove that recorded scenarios give the same answers.

    Each is folded through fresh machines, and every answer compared with the recorded one.

    Exit codes, of several files the worst: 0 every answer is equal; 1 the same tables gave another answer, or the file
    is incomplete; 2 the file cannot be read or has an unknown format; 3 other tables gave another answer (the machines
    that changed are named, and the version that can prove it).
    """
    from moorage.replay import replay_command

    context.exit(replay_command(files, explain, accept, sys.stdout))
