"""A link whose wire breaks while it is written to."""

from protocol.frame_types import STDIN, Credit
from tests.actors.agent.peer import Peer


def test_a_wire_that_breaks_in_the_middle_of_what_was_held() -> None:
    """asyncio keeps the error until it tells of it, and with its traceback all that the frames below it had in hand."""
    peer = Peer().greet(window=100_000)
    session, served = peer.spawn()
    served.write(bytes(250_000))  # type: ignore[attr-defined]
    kept: list[BaseException] = []

    def broken(data: bytes) -> None:
        try:
            raise BrokenPipeError
        except BrokenPipeError as error:
            kept.append(error)

    peer.write = broken  # type: ignore[method-assign]
    peer.say(Credit(channel=1, stream=STDIN, bytes=50_000))
    peer.link.lost("Broken pipe")
    assert kept and ("output_ended", "the link to the container is lost: Broken pipe") in session.calls
