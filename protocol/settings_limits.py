"""The `limits` section: how much of everything one user or one address may have at once, and for how long. All ours."""

from typing import Annotated

from msgspec import Meta, Struct, field

from protocol.settings_types import Duration

Bound = Annotated[int, Meta(ge=0, le=100_000)]  # 0: none


class LoginRate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many logins in any stretch of `period`."""

    logins: Bound = 0
    period: Duration = 60.0


class Share(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What one may have at the same time, and how often one may log in."""

    connections: Bound = 0
    sessions: Bound = 0
    containers: Bound = 0
    login_rate: LoginRate = LoginRate()


class AddressShare(Share, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Addresses that begin with the same so many bits are one."""

    ipv4_prefix: Annotated[int, Meta(ge=1, le=32)] = field(default=32, name="ipv4Prefix")
    ipv6_prefix: Annotated[int, Meta(ge=1, le=128)] = field(default=64, name="ipv6Prefix")


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`idle`: without a byte in any session; `total`: since the login; `warning`: so long before either is over."""

    user: Share = Share()
    address: AddressShare = AddressShare()
    idle: Duration = 0.0
    total: Duration = 0.0
    warning: Duration = 60.0
