"""How many failures an address may have: counted in a sliding window, and never for more addresses than fit."""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

ADDRESSES_MAX = 10_000
IPV4_BITS, IPV6_BITS = 32, 128
IPV6_PREFIX_BITS = 64  # what one customer has
PLACES_KEPT = 1024  # it is asked half a dozen times a login


@lru_cache(PLACES_KEPT)
def place_of(host: str, ipv4_prefix: int = IPV4_BITS, ipv6_prefix: int = IPV6_PREFIX_BITS) -> str:
    """An address as it is counted: IPv4 as it is, IPv6 by its /64, and an IPv4 address in IPv6 clothes as itself."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Address(_begun(int(address), IPV6_BITS - ipv6_prefix)))
        address = address.ipv4_mapped
    return str(IPv4Address(_begun(int(address), IPV4_BITS - ipv4_prefix)))


def _begun(address: int, free_bits: int) -> int:
    return address >> free_bits << free_bits


class FailureCount:
    """`limit` failures within `period_s`, and `is_full` says so. Period 0: never."""

    def __init__(self, limit: int, period_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._period_s, self._clock = limit, period_s, clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def go_on(self, before: "FailureCount") -> None:
        """With what another has counted, under our own limit."""
        self._failures = OrderedDict((key, deque(times, maxlen=self._limit)) for key, times in before._failures.items())

    def failed(self, key: str) -> None:
        if not self._period_s:
            return
        times = self._failures.setdefault(key, deque(maxlen=self._limit))
        times.append(self._clock())
        self._failures.move_to_end(key)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def is_full(self, key: str) -> bool:
        times = self._failures.get(key)
        if times is None or len(times) < self._limit:
            return False
        if times[0] + self._period_s > self._clock():
            return True
        del self._failures[key]
        return False
