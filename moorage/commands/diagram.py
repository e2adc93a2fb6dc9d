"""`moorage diagram`."""

import io

import click

from moorage.commands.problem import Problem, sentences


@click.command(name="diagram")
@click.argument("machine", required=False)
@click.option("--format", type=click.Choice(["mermaid", "dot", "svg"]), default="mermaid", show_default=True)
@click.option("--path", "scenario", metavar="SCENARIO", help="Mark the way that this recorded run took.")
@click.option("--stays/--no-stays", default=True, show_default=True, help="Also rows that leave the state as it is.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output.")
@click.pass_context
def command(
    context: click.Context, machine: str | None, format: str, scenario: str | None, stays: bool, output: str | None
) -> None:
    """Draw the machines, from the very rows that run.

    MACHINE is one of them; without it all are drawn.

    Exit codes: 0 drawn, 2 there is nothing to draw and stderr says why.
    """
    from moorage.diagram import diagram_command

    out = io.StringIO()
    if code := diagram_command(machine, format, scenario, out, stays=stays):
        raise Problem(out.getvalue().strip().removeprefix("moorage "), code)
    if output is None:
        click.echo(out.getvalue(), nl=False)
        return
    with sentences(), open(output, "w", encoding="utf-8") as file:
        file.write(out.getvalue())
