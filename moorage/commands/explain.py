"""`moorage explain`."""

import sys
from pathlib import Path

import click


@click.command(name="explain")
@click.argument("user")
@click.option(
    "--config", metavar="FILE", default="var/moorage.yaml", show_default=True, type=click.Path(path_type=Path)
)
@click.option("--from", "host", metavar="IP", default="", help="The address that the login comes from.")
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="The key that is shown: its .pub file.")
@click.option("--group", "groups", metavar="NAME", multiple=True, help="A group that a webhook or provider would name.")
@click.option("--command", "program", metavar="COMMAND", help="What is asked for, in place of a shell.")
@click.option("--ask", is_flag=True, help="Ask the configuration webhook.")
@click.pass_context
def command(
    context: click.Context,
    user: str,
    config: Path,
    host: str,
    key: Path | None,
    groups: tuple[str, ...],
    program: str | None,
    ask: bool,
) -> None:
    """Say what would become of a login.

    Its ways in, the rules that it meets, and the image, limits and policy that it would have. USER may be
    USER+TEMPLATE. Nothing is started: neither daemon nor engine is needed, and no one is asked without --ask.

    Exit codes: 0 such a login would be served, 1 it would be refused, 2 the configuration cannot be read.
    """
    from moorage.commands.daemon import read_config
    from moorage.commands.problem import sentences
    from moorage.explain_login import BadQuestion, Question, explain_login, read_key

    settings = read_config(config).settings
    with sentences(BadQuestion):
        text = None if key is None else read_key(key)
        question = Question(username=user, host=host, key=text, groups=groups, command=program, asks=ask)
        context.exit(explain_login(settings, question, sys.stdout))
