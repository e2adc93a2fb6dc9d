"""What the keys of `limits` are for. See settings_keys.py."""

from protocol.settings_keys_more import Key


def _share(path: str, who: str) -> dict[str, Key]:
    return {
        path: Key(f"What one {who} may have. Each limit that is 0 is none."),
        f"{path}.connections": Key(f"Connections of one {who} at a time."),
        f"{path}.sessions": Key(f"Sessions of one {who} at a time, in all connections together."),
        f"{path}.containers": Key(f"Containers of one {who} at a time. One that is being removed does not count."),
        f"{path}.loginRate": Key(f"How often one {who} may log in. Logins that are refused do not count."),
        f"{path}.loginRate.logins": Key("So many in any stretch of `period`; 0: no limit."),
        f"{path}.loginRate.period": Key("How far back logins count.", "0 with `logins`"),
    }


LIMITS: dict[str, Key] = {
    "limits": Key("Ours: how much one user or one address may have at once, and for how long."),
    **_share("limits.user", "user"),
    **_share("limits.address", "address"),
    "limits.address.ipv4Prefix": Key("IPv4 addresses that begin with the same so many bits are one.", "above 32"),
    "limits.address.ipv6Prefix": Key("The same of IPv6 addresses.", "above 128"),
    "limits.idle": Key("A connection ends when no session of it has moved a byte for so long. 0: never."),
    "limits.total": Key("A connection ends so long after its login. 0: never."),
    "limits.warning": Key(
        "Users are told so long before `idle` or `total` is over, and half of it before at most. 0: they are not told."
    ),
}
