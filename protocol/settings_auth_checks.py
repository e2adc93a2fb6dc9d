"""Rules for the `auth` section that a key's type cannot say."""

import re
from base64 import b32decode
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec.structs import replace

from protocol.settings_auth import AskWebhook, Auth, KeyboardInteractive, KeysCommand, User
from protocol.settings_http import HttpClient
from protocol.settings_problem import Problem
from protocol.ways import FACTORS, read_way, usual_factors, ways_of

MAKE_HASH = "make one with `moorage hash-password`"
ADD_A_USER = "add one: `auth: {users: {NAME: {authorizedKeys: [FILE_OR_KEY]}}}`"
TOTP_BYTES_MIN = 10
KEY_TOKENS = ("%%", "%u", "%k", "%t", "%f")
_HASHES = (
    re.compile(
        r"\$argon2id\$v=19\$m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,171}"
    ),
    re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"),
    re.compile(r"\$6\$(?:rounds=[1-9][0-9]{3,8}\$)?[./A-Za-z0-9]{0,16}\$[./A-Za-z0-9]{86}"),
)
_FOREIGN_HASHES = {
    "$y$": "yescrypt",
    "$7$": "scrypt",
    "$5$": "sha256-crypt",
    "$1$": "md5-crypt",
    "$argon2i$": "argon2i",
    "$argon2d$": "argon2d",
    "{SSHA}": "LDAP's SSHA",
}


def auth_problems(auth: Auth) -> Iterator[Problem]:
    """What makes the section unusable."""
    if not auth.users and not usual_factors(auth):
        yield Problem("auth.users", "no authentication method configured, so nobody could log in", advice=ADD_A_USER)
    for name, user in auth.users.items():
        path = f"auth.users.{name}"
        if not name or not name.isprintable():
            yield Problem(path, f"no user name: {name!r}", "printable text")
        if not user.authorized_keys and not user.password_hash and not _is_known_elsewhere(auth):
            yield Problem(path, "this user has no way in", advice="give authorizedKeys, passwordHash or both")
        yield from _user(user, path)
    yield from _methods(auth.methods, "auth.methods")
    for index, key in enumerate(auth.trusted_user_ca_keys):
        yield from _public_key(key, f"auth.trustedUserCAKeys[{index}]")
    yield from _command(auth.authorized_keys_command)
    sections = (("password", auth.password), ("publicKey", auth.public_key), ("authz", auth.authz))
    for name, section in sections:
        yield from _webhook(section, f"auth.{name}")
    yield from _interactive(auth.keyboard_interactive)


def auth_remarks(auth: Auth) -> Iterator[Problem]:
    """What can be used but is probably not meant."""
    for name, user in auth.users.items():
        if user.totp and not any("totp" in way for way in _read_ways(auth, name)):
            found = "not asked for: no way in of this user has it"
            yield Problem(f"auth.users.{name}.totp", found, "", "name totp in methods, or take methods out")
    known = set(usual_factors(auth))
    for index, text in enumerate(auth.methods):
        missing = [factor for factor in _way(text) if factor != "totp" and factor not in known]
        if missing:
            yield Problem(f"auth.methods[{index}]", f"nobody can come in this way: {missing[0]} is not configured")
    oidc = auth.keyboard_interactive.oauth2.oidc
    if auth.keyboard_interactive.method and oidc.authorization_code_flow:
        found = "not used: the device flow needs no page of ours to come back to"
        yield Problem("auth.keyboardInteractive.oauth2.oidc.authorizationCodeFlow", found, "", "take it out")


def _is_known_elsewhere(auth: Auth) -> bool:
    """Somebody else can know a key or a password of a user that is only named here."""
    return bool(usual_factors(replace(auth, users={})))


def _user(user: User, path: str) -> Iterator[Problem]:
    for index, key in enumerate(user.authorized_keys):
        yield from _public_key(key, f"{path}.authorizedKeys[{index}]")
    wrong = hash_problem(user.password_hash) if user.password_hash else ""
    if wrong:
        yield Problem(f"{path}.passwordHash", wrong, "argon2id, bcrypt or sha512-crypt", MAKE_HASH)
    if user.totp and (wrong := totp_problem(user.totp)):
        yield Problem(f"{path}.totp", wrong, f"base32 of {TOTP_BYTES_MIN} bytes or more, as authenticator apps take it")
    yield from _methods(user.methods, f"{path}.methods")


def _public_key(key: str, path: str) -> Iterator[Problem]:
    if not key.strip():
        yield Problem(path, "empty text", "a public key as in authorized_keys, or the name of a file of them")
    elif "PRIVATE KEY-----" in key:
        yield Problem(path, "a private key", "a public key", "use the .pub file, and consider this key as known")


def _methods(methods: tuple[str, ...], path: str) -> Iterator[Problem]:
    allowed = f"{', '.join(FACTORS)}, with commas between those that must follow on each other"
    for index, text in enumerate(methods):
        here = f"{path}[{index}]"
        try:
            way = read_way(text)
        except ValueError as error:
            yield Problem(here, f"no way in: {error}", allowed)
            continue
        if way[0] == "totp":
            yield Problem(here, "a code by itself is no way in", "publickey,totp or password,totp")


def _read_ways(auth: Auth, name: str) -> tuple[tuple[str, ...], ...]:
    try:
        return ways_of(auth, name)
    except ValueError:
        return (("totp",),)  # it is told already


def _way(text: str) -> tuple[str, ...]:
    try:
        return read_way(text)
    except ValueError:
        return ()


def _command(command: KeysCommand) -> Iterator[Problem]:
    path = "auth.authorizedKeysCommand.command"
    if not command.command:
        return
    if not command.command[0].startswith("/"):
        yield Problem(path, f"no absolute path: {command.command[0][:60]!r}", "the full path of a program")
    for index, argument in enumerate(command.command[1:], 1):
        for token in re.findall("%.?", argument, re.DOTALL):
            if token not in KEY_TOKENS:
                yield Problem(f"{path}[{index}]", f"unknown token {token!r}", ", ".join(KEY_TOKENS))


def _webhook(section: AskWebhook, path: str) -> Iterator[Problem]:
    if not section.method:
        return
    yield from _http(section.webhook, f"{path}.webhook")
    if section.webhook.bearer_token and not section.webhook.bearer_token.isascii():
        yield Problem(f"{path}.webhook.bearerToken", "not ASCII", "a token as RFC 6750 has it")
    if section.webhook.auth_timeout < 0.1:
        yield Problem(f"{path}.webhook.authTimeout", f"{section.webhook.auth_timeout:g} s", "100ms and more")


def _http(http: HttpClient, path: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(http.url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        yield Problem(f"{path}.url", "no address", "http://host/path or https://host/path")
    if bool(http.cert) != bool(http.key):
        missing = "key" if http.cert else "cert"
        yield Problem(f"{path}.{missing}", "not given", "both cert and key, or neither")


def _interactive(section: KeyboardInteractive) -> Iterator[Problem]:
    if not section.method:
        return
    path = "auth.keyboardInteractive.oauth2"
    if not section.oauth2.client_id:
        yield Problem(f"{path}.clientId", "empty", "the name that the identity provider knows us by")
    yield from _http(section.oauth2.oidc, f"{path}.oidc")
    if not section.oauth2.oidc.device_flow:
        yield Problem(f"{path}.oidc.deviceFlow", "false", "true", "it is the only flow that is served")
    if not section.oauth2.oidc.username_field:
        yield Problem(f"{path}.oidc.usernameField", "empty", "a claim of the user info, such as sub or email")


def totp_problem(text: str) -> str:
    """Why `text` is no TOTP secret; empty when it is one. The text itself is never repeated."""
    plain = "".join(text.split()).replace("-", "").upper().rstrip("=")
    try:
        secret = b32decode(plain + "=" * (-len(plain) % 8))
    except ValueError:
        return "not base32 (letters A to Z and digits 2 to 7)"
    return f"a secret of {len(secret)} bytes" if len(secret) < TOTP_BYTES_MIN else ""


def hash_problem(text: str) -> str:
    """Why `text` is no password hash that we can check; empty when it is one. The text itself is never repeated."""
    if any(known.fullmatch(text) for known in _HASHES):
        return ""
    for prefix, name in _FOREIGN_HASHES.items():
        if text.startswith(prefix):
            return f"a hash of a kind that is not checked here ({name})"
    if text.startswith(("$argon2id$", "$2", "$6$")):
        return "a hash that is damaged or cut short"
    return "not a password hash (a password in plain text is never accepted)"
