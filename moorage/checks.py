"""What makes settings unusable, whoever made them: a file, or a program that embeds the server. One place for both."""

from collections.abc import Iterable

from actors import command
from actors.engine import mounts
from actors.ssh import auth, keys, options
from actors.web import papers
from protocol.settings import Settings
from protocol.settings_checks import problems_of
from protocol.settings_problem import Problem, is_within


def refusals(settings: Settings) -> list[Problem]:
    """All that a file with these settings would be refused for. Reads the files that they name: not for the loop."""
    found = list(problems_of(settings))
    return [*found, *more_refusals(settings, found)]


def more_refusals(settings: Settings, known: Iterable[Problem]) -> list[Problem]:
    """What asyncssh and the file system say, where nothing has been said yet."""
    found = (
        *options.check(settings.ssh),
        *keys.check(settings),
        *auth.check(settings),
        *papers.check(settings),
        *command.check(settings),
        *mounts.check(settings),
    )
    taken = [problem.path for problem in known]
    fresh = ((path, sentence) for path, sentence in found if not any(is_within(path, one) for one in taken))
    return [Problem(path, sentence) for path, sentence in fresh]
