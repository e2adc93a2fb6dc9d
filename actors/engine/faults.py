"""From what can go wrong in a call to the engine to the classes the machines know.

The engine's status code decides and nothing else: its wording changes from version to version.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiodocker.exceptions import DockerError
from aiohttp.http_exceptions import HttpProcessingError

from actors.ports import EngineFault
from protocol.base import FaultClass

WHY_CHARS_MAX = 500

BY_STATUS: dict[int, FaultClass] = {
    400: "invalid",
    401: "denied",
    403: "denied",
    404: "not_found",
    409: "conflict",
    503: "unavailable",
}


def class_of(status: int) -> FaultClass:
    """The class of an HTTP status of 400 or more; what nobody has thought of is `internal`."""
    return BY_STATUS.get(status, "internal")


def one_line(text: str) -> str:
    """`text` fit for a log line and a terminal: one line, control characters escaped, cut."""
    words = " ".join(text.split())
    if len(words) > WHY_CHARS_MAX:
        words = words[: WHY_CHARS_MAX - 1] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in words)


@contextmanager
def as_faults(seconds: float | None = None) -> Iterator[None]:
    """Whatever aiodocker, aiohttp and the loop raise inside becomes an `EngineFault`.

    `seconds` is the time limit that holds inside, for the sentence only.
    """
    try:
        yield
    except DockerError as error:
        # aiodocker says 900 for a connection that could not be made.
        fault = "unavailable" if error.status == 900 else class_of(error.status)
        raise EngineFault(fault, one_line(str(error.message))) from error
    except TimeoutError as error:
        limit = f" within {seconds:g} s" if seconds is not None else " in time"
        raise EngineFault("timeout", f"the engine did not answer{limit}") from error
    except (aiohttp.ClientResponseError, HttpProcessingError) as error:
        # The number in there is aiohttp's, about an answer that is not HTTP; the engine has said nothing.
        raise EngineFault("internal", one_line(f"the engine's answer is not understood: {error.message}")) from error
    except (aiohttp.ClientError, OSError) as error:
        text = str(error) or type(error).__name__
        raise EngineFault("unavailable", one_line(f"the engine cannot be reached: {text}")) from error
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        # Not JSON, or not the JSON that the API promises.
        text = f"{type(error).__name__}: {error}"
        raise EngineFault("internal", one_line(f"the engine's answer is not understood: {text}")) from error
