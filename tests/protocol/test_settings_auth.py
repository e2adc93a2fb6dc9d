"""The `auth` section: every key is taken, has its default, and is refused where it makes no sense."""

from typing import Any

import pytest

from protocol.settings_auth import AskWebhook, Auth, FailureLimit, KeyboardInteractive, KeysCommand, Oidc, User, Webhook
from protocol.settings_read import Reading, SettingsError, read_settings

BCRYPT = "$2b$04$K7IOEYdX6u7mYW/rDSQcz.cnaaVn1DUsYolDGWK.ytqjtV3SSuZtS"
TOTP = "JBSWY3DPEHPK3PXP"
ANN = {"ann": {"passwordHash": BCRYPT}}
HOOK = {"method": "webhook", "webhook": {"url": "https://h/x"}}
OIDC = {"method": "oauth2", "oauth2": {"clientId": "c", "oidc": {"url": "https://h"}}}


def read(auth: dict[str, Any]) -> Reading:
    return read_settings({"auth": auth, "docker": {"execution": {"container": {"Image": "x:1"}}}})


def refused(auth: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read(auth)
    return {problem.path: problem.sentence for problem in caught.value.problems}


def test_defaults() -> None:
    auth = read({"users": ANN}).settings.auth
    assert auth == Auth(users={"ann": User(password_hash=BCRYPT)})
    assert (auth.failures, auth.password) == (FailureLimit(max=20, period=60.0), AskWebhook())
    assert (auth.password.webhook.timeout, auth.password.webhook.auth_timeout) == (2.0, 60.0)
    assert auth.keyboard_interactive == KeyboardInteractive()
    assert auth.authorized_keys_command == KeysCommand(timeout=10.0)


def test_everything_is_taken() -> None:
    http = {
        "url": "https://h/x", "allowRedirects": True, "timeout": "3s", "cacert": "ca", "cert": "c", "key": "k",
        "tlsVersion": "1.2", "curves": ["x25519"], "cipher": ["TLS_AES_128_GCM_SHA256"],
    }  # fmt: skip
    hook = {"method": "webhook", "webhook": {**http, "authTimeout": "1m30s", "bearerToken": "t"}}
    oidc = {
        **http, "deviceFlow": True, "usernameField": "email", "extraScopes": ["profile"], "enforceScopes": True,
        "enforceUsername": True, "loginTimeout": "3m",
    }  # fmt: skip
    auth = read(
        {
            "users": {"ann": {"authorizedKeys": ["a.pub"], "totp": TOTP, "methods": ["publickey,totp"]}},
            "methods": ["password", "publickey,password"],
            "trustedUserCAKeys": ["ca.pub"],
            "authorizedKeysCommand": {"command": ["/k", "%u"], "user": "nobody", "timeout": "5s"},
            "password": hook,
            "publicKey": hook,
            "authz": hook,
            "keyboardInteractive": {
                "method": "oauth2",
                "oauth2": {"provider": "oidc", "clientId": "c", "clientSecret": "s", "oidc": oidc},
            },
            "failures": {"max": 5, "period": "10m"},
        }
    ).settings.auth
    webhook = Webhook(
        url="https://h/x", allow_redirects=True, timeout=3.0, cacert="ca", cert="c", key="k", tls_version="1.2",
        curves=("x25519",), cipher=("TLS_AES_128_GCM_SHA256",), auth_timeout=90.0, bearer_token="t",
    )  # fmt: skip
    assert auth.password == auth.public_key == auth.authz == AskWebhook(method="webhook", webhook=webhook)
    assert auth.keyboard_interactive.oauth2.oidc == Oidc(
        url="https://h/x", allow_redirects=True, timeout=3.0, cacert="ca", cert="c", key="k", tls_version="1.2",
        curves=("x25519",), cipher=("TLS_AES_128_GCM_SHA256",), username_field="email", extra_scopes=("profile",),
        enforce_scopes=True, enforce_username=True, login_timeout=180.0,
    )  # fmt: skip
    assert auth.authorized_keys_command == KeysCommand(command=("/k", "%u"), user="nobody", timeout=5.0)
    assert auth.failures == FailureLimit(max=5, period=600.0)
    assert auth.trusted_user_ca_keys == ("ca.pub",)


@pytest.mark.parametrize(
    "auth",
    [
        {"password": HOOK},
        {"publicKey": HOOK},
        {"keyboardInteractive": OIDC},
        {"trustedUserCAKeys": ["ca.pub"]},
        {"authorizedKeysCommand": {"command": ["/k"]}},
        {"users": {"ann": {"methods": ["publickey"]}}, "publicKey": HOOK},
        {"users": {"ann": {"totp": TOTP}}, "trustedUserCAKeys": ["ca.pub"]},
    ],
)
def test_each_way_in_is_enough(auth: dict[str, Any]) -> None:
    assert read(auth).warnings == ()


@pytest.mark.parametrize(
    ("auth", "path", "words"),
    [
        ({"authz": HOOK}, "auth.users", "nobody could log in"),
        ({"users": {"ann": {"totp": TOTP}}}, "auth.users.ann", "no way in"),
        ({"users": {"ann": {"passwordHash": BCRYPT, "totp": "hunter2!"}}}, "auth.users.ann.totp", "not base32"),
        ({"users": {"ann": {"passwordHash": BCRYPT, "totp": "MFRA"}}}, "auth.users.ann.totp", "2 bytes"),
        ({"users": {"ann": {"passwordHash": BCRYPT, "methods": ["key"]}}}, "auth.users.ann.methods[0]", "one of"),
        ({"users": ANN, "methods": ["totp"]}, "auth.methods[0]", "a code by itself"),
        ({"users": ANN, "methods": ["password,password"]}, "auth.methods[0]", "twice"),
        ({"users": ANN, "trustedUserCAKeys": ["-- PRIVATE KEY-----"]}, "auth.trustedUserCAKeys[0]", "private"),
        ({"users": ANN, "trustedUserCAKeys": [" "]}, "auth.trustedUserCAKeys[0]", "empty text"),
        ({"users": ANN, "methods": ["publickey,password,totp,oidc,x"]}, "auth.methods[0]", "one of"),
        ({"users": {"ann": {"passwordHash": BCRYPT, "totp": TOTP, "methods": ["x"]}}}, "auth.users.ann.methods[0]", ""),
        ({"password": {"method": "webhook", "webhook": {"url": "http://[::"}}}, "auth.password.webhook.url", "no addr"),
        (
            {"keyboardInteractive": {"method": "oauth2", "oauth2": {"clientId": "c", "oidc": {"usernameField": ""}}}},
            "auth.keyboardInteractive.oauth2.oidc.usernameField",
            "empty",
        ),
        ({"authorizedKeysCommand": {"command": ["keys"]}}, "auth.authorizedKeysCommand.command", "absolute"),
        ({"authorizedKeysCommand": {"command": ["/k", "%x"]}}, "auth.authorizedKeysCommand.command[1]", "'%x'"),
        ({"authorizedKeysCommand": {"command": ["/k", "50%"]}}, "auth.authorizedKeysCommand.command[1]", "'%'"),
        ({"password": {"method": "kerberos"}}, "auth.password.method", "kerberos"),
        ({"password": {"method": "webook"}}, "auth.password.method", "webook"),
        ({"password": {"method": "webhook"}}, "auth.password.webhook.url", "no address"),
        ({"password": {"method": "webhook", "webhook": {"url": "ftp://h"}}}, "auth.password.webhook.url", "no address"),
        (
            {"publicKey": {"method": "webhook", "webhook": {"url": "https://h", "cert": "c"}}},
            "auth.publicKey.webhook.key",
            "both cert and key",
        ),
        (
            {"publicKey": {"method": "webhook", "webhook": {"url": "https://h", "authTimeout": "50ms"}}},
            "auth.publicKey.webhook.authTimeout",
            "100ms",
        ),
        (
            {"authz": {"method": "webhook", "webhook": {"url": "https://h", "bearerToken": "ü"}}, "users": ANN},
            "auth.authz.webhook.bearerToken",
            "ASCII",
        ),
        ({"users": ANN, "failures": {"max": 0}}, "auth.failures.max", "at least 1"),
        ({"users": ANN, "gssapi": {"method": "kerberos"}}, "auth.gssapi", "not served"),
        (
            {"keyboardInteractive": {"method": "oauth2", "oauth2": {"provider": "github"}}},
            "auth.keyboardInteractive.oauth2.provider",
            "github",
        ),
        (
            {"keyboardInteractive": {"method": "oauth2", "oauth2": {"oidc": {"url": "https://h"}}}},
            "auth.keyboardInteractive.oauth2.clientId",
            "empty",
        ),
        (
            {"keyboardInteractive": {"method": "oauth2", "oauth2": {"clientId": "c", "oidc": {"deviceFlow": False}}}},
            "auth.keyboardInteractive.oauth2.oidc.deviceFlow",
            "only flow",
        ),
    ],
)  # fmt: skip
def test_refusals(auth: dict[str, Any], path: str, words: str) -> None:
    problems = refused(auth)
    assert words in problems[path], problems
    assert "hunter2" not in "".join(problems.values())


def test_remarks() -> None:
    told = read({"users": {"ann": {"passwordHash": BCRYPT, "totp": TOTP}}, "methods": ["password"]}).warnings
    assert [problem.path for problem in told] == ["auth.users.ann.totp"]
    told = read({"users": ANN, "methods": ["password", "publickey"]}).warnings
    assert [problem.path for problem in told] == ["auth.methods[1]"]
    oauth2 = {"clientId": "c", "oidc": {"url": "https://h", "authorizationCodeFlow": True}}
    told = read({"keyboardInteractive": {"method": "oauth2", "oauth2": oauth2}}).warnings
    assert [problem.path for problem in told] == ["auth.keyboardInteractive.oauth2.oidc.authorizationCodeFlow"]


# --- ContainerSSH's old keys -------------------------------------------------------------------------------------


def test_the_old_webhook_keys() -> None:
    reading = read({"url": "https://h/x", "timeout": "5s", "cacert": "ca", "password": True, "pubkey": True})
    webhook = Webhook(url="https://h/x", timeout=5.0, cacert="ca")
    hook = AskWebhook(method="webhook", webhook=webhook)
    assert reading.settings.auth == Auth(password=hook, public_key=hook)
    (remark,) = reading.warnings
    assert (remark.path, remark.code) == ("auth.url", "CONFIG_AUTH_URL_DEPRECATED")


def test_one_of_the_two() -> None:
    auth = read({"url": "https://h", "password": False, "pubkey": True}).settings.auth
    assert (auth.password.method, auth.public_key.method) == ("", "webhook")


def test_passwords_were_on_and_keys_off_where_nothing_was_said() -> None:
    auth = read({"url": "https://h"}).settings.auth
    assert (auth.password.method, auth.public_key.method) == ("webhook", "")


def test_old_keys_that_are_off_say_nothing() -> None:
    reading = read({"users": ANN, "password": False, "pubkey": False, "url": ""})
    assert reading.settings.auth == Auth(users={"ann": User(password_hash=BCRYPT)})
    assert reading.warnings == ()


def test_old_keys_that_ask_and_name_nobody_are_refused() -> None:
    assert "auth.password" in refused({"users": ANN, "password": True})


def test_old_and_new_keys_are_not_mixed() -> None:
    assert "auth.pubkey" in refused({"url": "https://h", "pubkey": True, "publicKey": HOOK})
