"""Ways in: which factors, in which order, let a user in. Pure; the settings in, sequences of factors out."""

from typing import Literal, cast, get_args

from msgspec.structs import replace

from protocol.settings_auth import Auth, User

Factor = Literal["publickey", "password", "totp", "oidc"]
Way = tuple[Factor, ...]
FACTORS: tuple[Factor, ...] = get_args(Factor)
# RFC 4252's name of the method that a factor is proved with.
METHOD_OF: dict[Factor, str] = {
    "publickey": "publickey",
    "password": "password",
    "totp": "keyboard-interactive",
    "oidc": "keyboard-interactive",
}


def read_way(text: str) -> Way:
    """`publickey,totp` as a sequence; sshd's `keyboard-interactive:totp` is taken too. Raises ValueError."""
    names = [name.strip().removeprefix("keyboard-interactive:") for name in text.split(",")]
    for name in names:
        if name not in FACTORS:
            raise ValueError(f"{name[:40]!r} is not one of {', '.join(FACTORS)}")
    if len(set(names)) != len(names):
        raise ValueError("a factor stands in it twice")
    return tuple(cast(Factor, name) for name in names)


def usual_factors(auth: Auth) -> tuple[Factor, ...]:
    """The factors that let somebody in by themselves, as far as they are configured at all."""
    users = auth.users.values()
    has_keys = any(user.authorized_keys for user in users) or bool(
        auth.trusted_user_ca_keys or auth.authorized_keys_command.command or auth.public_key.method
    )
    found: list[Factor] = ["publickey"] if has_keys else []
    if auth.password.method or any(user.password_hash for user in users):
        found.append("password")
    if auth.keyboard_interactive.method:
        found.append("oidc")
    return tuple(found)


def ways_of(auth: Auth, username: str) -> tuple[Way, ...]:
    """What this user can come in by: his own methods, the common ones, or any factor that there is.

    Where nothing is said, a TOTP code follows whatever else a user with a TOTP secret has proved.
    """
    user = auth.users.get(username, User())
    said = user.methods or auth.methods
    if said:
        return tuple(read_way(text) for text in said)
    behind: Way = ("totp",) if user.totp else ()
    return tuple((factor, *behind) for factor in usual_factors(auth))


def offered_first(auth: Auth) -> tuple[str, ...]:
    """The methods that every name is offered first, known or not: a list of each user's own would tell who exists."""
    others = [""] if usual_factors(replace(auth, users={})) or not auth.users else []  # names that are not written here
    ways = [way for name in (*auth.users, *others) for way in ways_of(auth, name)]
    return tuple(dict.fromkeys(METHOD_OF[way[0]] for way in sorted(ways, key=lambda way: FACTORS.index(way[0]))))


def next_factors(ways: tuple[Way, ...], passed: Way) -> tuple[Factor, ...]:
    """What may follow on `passed`, best first."""
    place = len(passed)
    return tuple(dict.fromkeys(way[place] for way in ways if len(way) > place and way[:place] == passed))
