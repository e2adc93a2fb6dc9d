"""Which factors in which order let a user in."""

import pytest

from protocol.settings_auth import AskWebhook, Auth, KeyboardInteractive, User
from protocol.ways import next_factors, offered_first, read_way, ways_of

ANN = User(authorized_keys=("k",), password_hash="h")
BEN = User(authorized_keys=("k",), password_hash="h", totp="s")
CAT = User(methods=("publickey,password,keyboard-interactive:totp",))
AUTH = Auth(users={"ann": ANN, "ben": BEN, "cat": CAT})


def test_any_factor_that_there_is_and_a_code_for_who_has_a_secret() -> None:
    assert ways_of(AUTH, "ann") == ways_of(AUTH, "nobody") == (("publickey",), ("password",))
    assert ways_of(AUTH, "ben") == (("publickey", "totp"), ("password", "totp"))
    assert ways_of(AUTH, "cat") == (("publickey", "password", "totp"),)


def test_common_methods_and_a_users_own() -> None:
    auth = Auth(users=AUTH.users, methods=("password",))
    assert ways_of(auth, "ann") == ways_of(auth, "ben") == (("password",),)
    assert ways_of(auth, "cat") == (("publickey", "password", "totp"),)


def test_webhooks_and_providers_are_ways_in() -> None:
    auth = Auth(password=AskWebhook(method="webhook"), keyboard_interactive=KeyboardInteractive(method="oauth2"))
    assert ways_of(auth, "anybody") == (("password",), ("oidc",))
    assert offered_first(auth) == ("password", "keyboard-interactive")


def test_the_first_offer_is_the_same_for_every_name() -> None:
    only_keys = User(authorized_keys=("k",), methods=("publickey",))
    auth = Auth(users={"ann": only_keys, "ben": User(password_hash="h", methods=("password",))}, methods=("password",))
    assert offered_first(auth) == ("publickey", "password")


def test_what_may_follow() -> None:
    ways = (read_way("publickey,totp"), read_way("publickey,password"), read_way("password"))
    assert next_factors(ways, ()) == ("publickey", "password")
    assert next_factors(ways, ("publickey",)) == ("totp", "password")
    assert next_factors(ways, ("password",)) == ()


@pytest.mark.parametrize("text", ["", "publickey,", "any", "publickey,publickey", "publickey totp"])
def test_what_is_no_way(text: str) -> None:
    with pytest.raises(ValueError):
        read_way(text)
