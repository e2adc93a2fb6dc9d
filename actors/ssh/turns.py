"""One client's packets do not hold up the others. More that is replaced, as in overrides.py."""

import asyncssh

TURN_PACKETS_MAX = 200  # of one connection in one turn of the loop: some 20 ms


class Turns(asyncssh.SSHServerConnection):
    """A base of `overrides.Connection`. What was read at once may hold ten thousand tiny packets."""

    _turn_packets = 0
    _is_behind = False

    def _recv_data(self) -> None:
        self._turn_packets = 0
        super()._recv_data()

    def _recv_pkthdr(self) -> bool:
        if self._turn_packets >= TURN_PACKETS_MAX:
            if not self._is_behind:
                self._is_behind = True
                self._loop.call_soon(self._go_on)
            return False
        self._turn_packets += 1
        return super()._recv_pkthdr()

    def _go_on(self) -> None:
        self._is_behind = False
        self.data_received(b"")
