"""What the keys under `auth` are for, and what is refused."""

from protocol.settings_keys_more import Key

_PEM = "PEM text or the name of a file."
_METHODS = "an unknown factor, one that stands in it twice, a code by itself"


def _http(path: str, url: str, seconds: str) -> dict[str, Key]:
    return {
        f"{path}.url": Key(url, "with the method on: anything but `http://…` or `https://…`"),
        f"{path}.allowRedirects": Key("Follow redirects. Without it, one is a failure."),
        f"{path}.timeout": Key(seconds),
        f"{path}.cacert": Key(f"The authority that signed its certificate: {_PEM} Empty: the system's."),
        f"{path}.cert": Key(f"Our certificate, where it wants one: {_PEM}", "without `key`"),
        f"{path}.key": Key(f"Our private key: {_PEM}", "without `cert`"),
        f"{path}.tlsVersion": Key("The least version of TLS."),
        f"{path}.curves": Key(
            "The curve of the key exchange: `x25519`, `secp256r1`, `secp384r1` or `secp521r1`. Empty or all: the TLS "
            "library's choice.",
            "with the method on: another name; two or three of them, which the library cannot do",
        ),
        f"{path}.cipher": Key(
            "Cipher suites of TLS 1.2 by IANA's, OpenSSL's or GnuTLS's names. Those of TLS 1.3 are always on.",
            "with the method on: a name that the TLS library does not know",
        ),
    }


def _webhook(path: str, meaning: str, asks: str) -> dict[str, Key]:
    webhook = f"{path}.webhook"
    return {
        path: Key(meaning),
        f"{path}.method": Key("`webhook`; empty: off.", "anything else"),
        webhook: Key("The web service, with ContainerSSH's JSON."),
        **_http(webhook, f"`{asks}` is put behind it.", "One call."),
        f"{webhook}.authTimeout": Key("All calls for one attempt, repeated ones included.", "less than 100ms"),
        f"{webhook}.bearerToken": Key("Ours: sent as `Authorization: Bearer …`.", "what is not ASCII"),
    }


_OAUTH2 = "auth.keyboardInteractive.oauth2"

AUTH_KEYS: dict[str, Key] = {
    "auth": Key("Who may come in, and who is asked about it: docs/authentication.md."),
    "auth.users": Key("User name to ways in.", "with nobody else to ask: no user at all; a user with no way in"),
    "auth.users.NAME.authorizedKeys": Key(
        "Public keys as in OpenSSH's `authorized_keys`, or names of files of them.",
        "a private key, a file that cannot be read, an option that would not be kept",
    ),
    "auth.users.NAME.passwordHash": Key(
        "From `moorage hash-password`: argon2id; bcrypt and sha512-crypt are taken as well.",
        "a password in plain text, any other kind of hash",
    ),
    "auth.users.NAME.totp": Key(
        "Secret of an authenticator app in base32. A code then follows each key or password, unless methods say else.",
        "what is not base32, less than 10 bytes",
    ),
    "auth.users.NAME.methods": Key("This user's ways in, in place of `auth.methods`.", _METHODS),
    "auth.users.NAME.groups": Key("Groups that this user is in, for `rules`. Webhooks and providers may name more."),
    "auth.usersFile": Key(
        "A YAML or JSON file that holds more of `auth.users`: user name to ways in.",
        "a file that cannot be read, a user who is in both",
    ),
    "auth.methods": Key(
        "Ways in, one an entry: factors (`publickey`, `password`, `totp`, `oidc`) with commas between those that must "
        "follow on each other. Empty: any one that is configured, with a code behind it for who has a secret.",
        _METHODS,
    ),
    "auth.trustedUserCAKeys": Key(
        "Authorities for user certificates: public keys, or names of files of them. The user name must be among the "
        "certificate's principals.",
        "a private key, a file that cannot be read",
    ),
    "auth.revokedKeys": Key(
        "A file of keys and certificates that let nobody in: a list that `ssh-keygen -k` made, or public keys, one a "
        "line. A change holds at once. While it cannot be read, no key lets anybody in.",
        "a file that cannot be read",
    ),
    "auth.authorizedKeysCommand": Key("A program that prints a user's `authorized_keys` lines."),
    "auth.authorizedKeysCommand.command": Key(
        "The program's full path and its arguments; in these `%u` is the user name, `%t` and `%k` the key's type and "
        "base64, `%f` its fingerprint. Run without a shell. Empty: off.",
        "a path that is not absolute, an unknown token",
    ),
    "auth.authorizedKeysCommand.user": Key("The account to run it as, when Moorage runs as root.", "none, as root"),
    "auth.authorizedKeysCommand.timeout": Key("It is killed after so long."),
    **_webhook("auth.password", "Passwords of users who have no hash here.", "/password"),
    **_webhook("auth.publicKey", "Keys that are not in the configuration.", "/pubkey"),
    "auth.keyboardInteractive": Key("Logins at an identity provider."),
    "auth.keyboardInteractive.method": Key("`oauth2`; empty: off.", "anything else"),
    _OAUTH2: Key("The identity provider."),
    f"{_OAUTH2}.provider": Key("`oidc`.", "`github`, `generic`"),
    f"{_OAUTH2}.clientId": Key("What the provider knows us by.", "empty, with the method on"),
    f"{_OAUTH2}.clientSecret": Key("Its password for us; public clients have none."),
    f"{_OAUTH2}.oidc": Key("An OpenID Connect provider."),
    **_http(f"{_OAUTH2}.oidc", "The issuer; its discovery document is looked for under it.", "One call."),
    f"{_OAUTH2}.oidc.deviceFlow": Key("Show a code and the page to enter it at (RFC 8628).", "`false`"),
    f"{_OAUTH2}.oidc.authorizationCodeFlow": Key("Taken for compatibility, with a remark: the device flow is used."),
    f"{_OAUTH2}.oidc.usernameField": Key("The claim of the user info that is the user's name.", "empty"),
    f"{_OAUTH2}.oidc.extraScopes": Key("Scopes to ask for besides `openid`."),
    f"{_OAUTH2}.oidc.enforceScopes": Key("Refuse a login that was not granted all of them."),
    f"{_OAUTH2}.oidc.enforceUsername": Key("Ours: refuse a login whose claim is not the SSH user name."),
    f"{_OAUTH2}.oidc.loginTimeout": Key("Ours: time from showing the code until it is used."),
    **_webhook("auth.authz", "Has the last word about who has proved all factors.", "/authz"),
    "auth.failures": Key("Ours: failed attempts of one address, after which further ones are refused unseen."),
    "auth.failures.max": Key("So many within the period."),
    "auth.failures.period": Key("How long a failure counts; 0: there is no limit."),
}
