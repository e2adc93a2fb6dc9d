"""Why there is no daemon, for whoever wanted one."""


class CannotServe(Exception):
    """The daemon cannot start; the text is one sentence, with its code in front."""


def alone(error: BaseException) -> BaseException:
    """Trio wraps what ends a nursery in a group; one error alone is taken out of all of them."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
