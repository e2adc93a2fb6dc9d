"""ContainerSSH's old keys for its webhooks (`auth.url`, `auth.password: true`, `auth.pubkey: true`) as today's."""

from protocol import codes
from protocol.settings_problem import Problem, resolved

_HTTP = ("url", "timeout", "cacert", "cert", "key", "allowRedirects", "tlsVersion", "curves", "cipher", "authTimeout")
_NEW = {"password": "password", "pubkey": "publicKey"}


def modern_auth(tree: object) -> tuple[object, list[Problem]]:
    """The same tree with the old keys in their new places, and one remark if there were any.

    Old and new keys for the same thing are left alone: the reader refuses what is not of today.
    """
    auth = tree.get("auth") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(auth, dict):
        return tree, []
    url = resolved(auth.get("url"))
    on = {old for old in _NEW if resolved(auth.get(old)) is True}
    if "password" not in auth and url:
        on.add("password")  # it was on unless it was said to be off; keys were the other way round
    off = {old for old in _NEW if old in auth and resolved(auth[old]) in (False, None)}
    if not isinstance(url, str) or not url or any(_NEW[old] in auth and _NEW[old] != old for old in on):
        gone = {*off, *(["url"] if "url" in auth and url in ("", None) else [])}
        return {**tree, "auth": {key: value for key, value in auth.items() if key not in gone}}, []
    http = {key: auth[key] for key in _HTTP if key in auth}
    rest = {key: value for key, value in auth.items() if key not in (*_HTTP, *on, *off)}
    new = {_NEW[old]: {"method": "webhook", "webhook": dict(http)} for old in sorted(on)}
    advice = "write " + " and ".join(f"{key}: {{method: webhook, webhook: {{url: …}}}}" for key in new)
    found = f"an old key, understood as {' and '.join(f'auth.{key}.webhook' for key in new) or 'nothing: both are off'}"
    remark = Problem("auth.url", found, "", advice if new else "", code=codes.CONFIG_AUTH_URL_DEPRECATED.name)
    return {**tree, "auth": {**rest, **new}}, [remark]
