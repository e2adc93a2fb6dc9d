"""RFC 6238's own test vectors, and what a code is good for."""

import base64

import pytest

from actors.totp import Codes, code, read_secret

SECRET = b"12345678901234567890"
TEXT = base64.b32encode(SECRET).decode()


@pytest.mark.parametrize(
    ("now", "eight"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_the_vectors_of_the_rfc(now: int, eight: str) -> None:
    assert code(SECRET, now // 30) == eight[2:]
    assert Codes({"ann": TEXT}).fits("ann", eight[2:], now)


@pytest.mark.parametrize(("drift", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(drift: int, fits: bool) -> None:
    assert Codes({"ann": TEXT}).fits("ann", code(SECRET, 1000 + drift), 30_000) is fits


def test_a_code_is_good_once_and_an_older_one_never_after() -> None:
    codes = Codes({"ann": TEXT, "bob": TEXT})
    assert codes.fits("ann", code(SECRET, 1000), 30_000)
    assert not codes.fits("ann", code(SECRET, 1000), 30_000)
    assert not codes.fits("ann", code(SECRET, 999), 30_000)
    assert codes.fits("ann", code(SECRET, 1001), 30_000)
    assert codes.fits("bob", code(SECRET, 1000), 30_000)


@pytest.mark.parametrize("given", ["", "12345", "287082 ", "２８７０８２", "abcdef", "1" * 1000, "\ud800"])
def test_other_texts_do_not_fit(given: str) -> None:
    assert Codes({"ann": TEXT}).fits("ann", given, 59) is (given.strip() == "287082")


def test_nobodys_code_never_fits() -> None:
    codes = Codes({})
    assert not any(codes.fits("mallory", f"{number:06d}", 59) for number in range(0, 1_000_000, 997))


@pytest.mark.parametrize("text", ["jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXP", "JBSW-Y3DP-EHPK-3PXP"])
def test_secrets_as_apps_show_them(text: str) -> None:
    assert read_secret(text) == b"Hello!\xde\xad\xbe\xef"


@pytest.mark.parametrize("text", ["", "JBSWY3DP", "not base32!", "JBSWY3DPEHPK3PX1"])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError):
        read_secret(text)
