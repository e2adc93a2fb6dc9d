"""Password hashes of every kind we take, and what must never fit."""

import string
from time import process_time

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.passwords import PASSWORD_BYTES_MAX, THREADS_MAX, dummy, make_hash, verify, verify_sync
from protocol.settings_auth_checks import hash_problem

# All of `swordfish`; the sha512-crypt one without rounds was made by `openssl passwd -6`.
ARGON = make_hash("swordfish")
HASHES = {
    "argon2id": ARGON,
    "bcrypt": "$2b$04$K7IOEYdX6u7mYW/rDSQcz.cnaaVn1DUsYolDGWK.ytqjtV3SSuZtS",
    "bcrypt 2y": "$2y$04$4TV8hAK9YXiVLCDrz92u5.YraMLnErU5Q9otEzUCXHsTNyLH3FD4m",
    "sha512-crypt": "$6$1DZYk/zrpsuEPGs1$"
    "Al/pck97W3GAZhhcKVe0lvJIlkc/hlYC8NtKtBZVbFYL4fztLdHAH8jCXqT.d0dwTzxyeS6iN7jjYqj3zqljw0",
    "sha512-crypt with rounds": "$6$rounds=1000$wlUBe2c.lx0u3JTz$"
    "Rr90k9tOdDN/HUvizXccN4kw.1ODOxLNT2Yqf5JXvksk0r5REulqZuScH1NAtq.mMnvC3GR4FHAOC60cP0tbo0",
}


@pytest.mark.parametrize("kind", HASHES)
def test_the_right_password_fits_and_no_other(kind: str) -> None:
    assert hash_problem(HASHES[kind]) == ""
    assert verify_sync(HASHES[kind], "swordfish")
    for wrong in ("", "Swordfish", "swordfish ", "swordfish\0", "sword\0fish", "x" * 5000, "\ud800"):
        assert not verify_sync(HASHES[kind], wrong)


def test_a_new_hash_is_one_that_the_configuration_takes() -> None:
    assert hash_problem(ARGON) == ""
    assert make_hash("swordfish") != ARGON


@pytest.mark.parametrize("password", ["pässwörd", "密码", "a" * PASSWORD_BYTES_MAX, " "])
def test_odd_but_possible_passwords(password: str) -> None:
    assert verify_sync(make_hash(password), password)
    assert not verify_sync(make_hash(password), password + "!")


@pytest.mark.parametrize("password", ["", "a\0b", "a" * (PASSWORD_BYTES_MAX + 1)])
def test_impossible_passwords_get_no_hash(password: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        make_hash(password)


def test_bcrypt_looks_at_72_bytes_as_everywhere() -> None:
    long = "$2b$04$Rbvtb5OoM04ICtxG71b75ucCzOAGQISj/E4B0/ge5hc1vt.PrfMWi"  # of 72 letters a
    assert verify_sync(long, "a" * 72)
    assert verify_sync(long, "a" * 80)
    assert not verify_sync(long, "a" * 71)


def test_nobodys_hash_never_fits() -> None:
    assert not verify_sync("", "swordfish")
    assert not verify_sync("", "")
    assert dummy() == dummy()
    assert hash_problem(dummy()) == ""


def test_a_name_that_nobody_has_costs_a_real_check() -> None:
    dummy()

    def cost(hash_: str) -> float:
        start = process_time()
        verify_sync(hash_, "wrong")
        return process_time() - start

    known, unknown = min(cost(ARGON) for _ in range(5)), min(cost("") for _ in range(5))
    assert known / 3 < unknown < known * 3  # without the decoy: a thousandth


@given(st.text(alphabet=string.printable) | st.sampled_from([text[:-3] for text in HASHES.values()]), st.text())
@settings(max_examples=50)
def test_any_text_for_a_hash_is_false_and_no_error(text: str, password: str) -> None:
    assert not verify_sync(text, password)


@pytest.mark.trio
async def test_checks_run_beside_the_loop() -> None:
    results: dict[str, bool] = {}

    async def check(password: str) -> None:
        results[password] = await verify(ARGON, password)

    turns = 0
    async with trio.open_nursery() as nursery:
        for password in ["swordfish", *(f"wrong{number}" for number in range(2 * THREADS_MAX))]:
            nursery.start_soon(check, password)
        while len(results) < 2 * THREADS_MAX + 1:
            turns += 1
            await trio.sleep(0.001)
    assert [password for password, fits in results.items() if fits] == ["swordfish"]
    assert turns > 5  # the loop went on meanwhile


@pytest.mark.trio
async def test_a_cancelled_check_goes_at_once() -> None:
    with trio.move_on_after(0) as scope:
        await verify(ARGON, "swordfish")
    assert scope.cancelled_caught
    assert await verify(ARGON, "swordfish")
