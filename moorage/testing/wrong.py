"""The two verdicts on a simulated run that is not in order.

They are no `Exception`s, so that the code under test, which catches those, cannot swallow one.
"""


class Wrong(BaseException):
    """Something that must hold did not."""


class Stuck(BaseException):
    """In fair weather, something that must end did not."""


def expect(holds: bool, what: str) -> None:
    """Raise `Wrong` unless it holds."""
    if not holds:
        raise Wrong(what)
