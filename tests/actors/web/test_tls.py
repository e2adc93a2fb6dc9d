"""Names of curves and suites: which are taken, what OpenSSL calls them, and which are refused with what to do."""

import ssl
from typing import Any

import pytest
from msgspec.structs import replace

from actors.web.papers import check
from actors.web.tls import choose
from protocol.settings import Settings
from protocol.settings_auth import AskWebhook, Auth, Webhook
from protocol.settings_http import HttpClient


def chosen(**keys: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    choose(context, HttpClient(tls_version="1.2", **keys))
    return context


def suites(*names: str) -> list[str]:
    found = [str(suite["name"]) for suite in chosen(cipher=names).get_ciphers()]
    return [name for name in found if not name.startswith("TLS_")]


@pytest.mark.parametrize(
    ("given", "openssl"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"),
    ],
)
def test_a_suite_by_each_of_its_names(given: str, openssl: str) -> None:
    assert suites(given, "TLS_AES_128_GCM_SHA256") == [openssl]


def test_suites_of_tls_1_3_alone_leave_1_2_nothing() -> None:
    assert chosen(cipher=("TLS_AES_128_GCM_SHA256",)).minimum_version == ssl.TLSVersion.TLSv1_3


def test_all_curves_are_the_librarys_choice() -> None:
    assert chosen(curves=("X25519", "P-256", "secp384r1", "P-521")).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"curves": ("secp256k1",)}, "curves: 'secp256k1' is no curve that is known here: x25519, "),
        ({"curves": ("x25519", "P-256")}, "curves: the TLS library takes one curve, or all of them"),
        ({"cipher": ("ALL",)}, "cipher: 'ALL' is no suite"),
        ({"cipher": ("ECDHE-RSA-AES128-GCM-SHA265",)}, "the nearest is ECDHE-RSA-AES128-GCM-SHA256"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_is_asked(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        chosen(**keys)
    webhook = Webhook(url="https://x", **keys)
    settings = Settings(auth=Auth(password=AskWebhook(method="webhook", webhook=webhook)))
    ((path, why),) = check(settings)
    (key,) = keys
    assert path == f"auth.password.webhook.{key}" and sentence.removeprefix(f"{key}: ") in why
    off = replace(settings, auth=replace(settings.auth, password=AskWebhook(webhook=webhook)))
    assert check(off) == []
