"""`moorage simulate`."""

import sys

import click


class Seeds(click.ParamType[tuple[int, int]]):
    """`A:B`, from A up to and without B, as Python counts."""

    name = "A:B"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        first, colon, last = str(value).partition(":")
        if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
            self.fail(f"{value!r} is not FIRST:LAST, two whole numbers, the first smaller", param, context)
        return int(first), int(last)


@click.command(name="simulate")
@click.option("--seeds", type=Seeds(), default="0:100", show_default=True, help="Seeds from A up to and without B.")
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Processes at once.  [default: one per processor]")
@click.option("--record", metavar="DIR", help="Keep the recordings of seeds that fail there.")
@click.pass_context
def command(context: click.Context, seeds: tuple[int, int], jobs: int, record: str | None) -> None:
    """Run the actors in made-up weather.

    The real machines and actors, with an engine and clients in memory and a clock that jumps. Each seed draws what goes
    wrong and when; then the weather is fair, and everything has to end in order. A seed that fails is printed with the
    line that repeats it; of 1,000 seeds and more, what none of them got to is listed.

    Exit codes: 0 all in order, 2 the command line is wrong, 3 an error that nobody expected, 4 something did not end,
    5 something that must hold did not; of several the first of 3, 5, 4.
    """
    from moorage.simulate import simulate_command

    context.exit(simulate_command(*seeds, jobs, record, sys.stdout))
