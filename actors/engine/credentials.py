"""Who we are for a registry: the configuration's `execution.auth`, else Docker's own config file and its helpers.

The result is always the engine's AuthConfig with keys in lower case; an empty one means anonymous.
"""

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from actors.child import process_group
from actors.engine.faults import one_line
from protocol.settings import RegistryAuth

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
HELPER_SECONDS_MAX = 15.0
HELPER_NOT_FOUND = "credentials not found in native keychain"


def registry_of(reference: str) -> str:
    """The registry's host (and port) of an image reference; `docker.io` when it names none."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return _hub(first) if is_host else HUB


def _hub(host: str) -> str:
    return HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def host_of(key: str) -> str:
    """The host of a key of `auths` or a server address: `https://reg.example:5000/v1/` is `reg.example:5000`."""
    return _hub(key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0])


def basic_auth(text: str) -> dict[str, str]:
    """`auth`: base64 of `user:password`. Empty for anything else."""
    try:
        user, colon, password = base64.b64decode(text, validate=False).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    # Docker writes a NUL after the password on some systems.
    return {"username": user, "password": password.rstrip("\0")} if colon else {}


def from_settings(auth: RegistryAuth, registry: str) -> dict[str, str]:
    """AuthConfig for `registry` from `execution.auth`; empty if that is empty or names another server."""
    if auth == RegistryAuth() or (auth.serveraddress and host_of(auth.serveraddress) != registry):
        return {}
    fields = {name: str(getattr(auth, name)) for name in RegistryAuth.__struct_fields__ if name != "auth"}
    filled = {**(basic_auth(auth.auth) if auth.auth else {}), **{k: v for k, v in fields.items() if v}}
    return {**filled, "serveraddress": _server_address(registry)}


def _server_address(registry: str) -> str:
    return HUB_KEY if registry == HUB else registry


def from_config(config: Mapping[str, Any], registry: str) -> dict[str, str]:
    """AuthConfig for `registry` from a Docker config file's `auths`; empty if it has none."""
    auths = config.get("auths")
    for key, entry in auths.items() if isinstance(auths, dict) else ():
        if host_of(key) != registry or not isinstance(entry, dict):
            continue
        found = basic_auth(str(entry.get("auth") or ""))
        for name in ("username", "password", "identitytoken", "registrytoken"):
            if entry.get(name):
                found[name] = str(entry[name])
        if found:
            return {**found, "serveraddress": _server_address(registry)}
    return {}


def helper_of(config: Mapping[str, Any], registry: str) -> str:
    """The name of the credential helper for `registry`, or empty."""
    helpers = config.get("credHelpers")
    if isinstance(helpers, dict):
        for key, name in helpers.items():
            if host_of(key) == registry and isinstance(name, str):
                return name
    store = config.get("credsStore")
    return store if isinstance(store, str) else ""


def from_helper(answer: bytes, registry: str) -> dict[str, str]:
    """AuthConfig from what a helper's `get` has printed. Raises ValueError when that is not understood."""
    found = json.loads(answer)
    user, secret = str(found["Username"]), str(found["Secret"])
    who = {"identitytoken": secret} if user == "<token>" else {"username": user, "password": secret}
    return {**who, "serveraddress": _server_address(registry)}


def header(auth: Mapping[str, str]) -> str:
    """The value of `X-Registry-Auth`. The engine wants the URL-safe alphabet."""
    return base64.urlsafe_b64encode(json.dumps(dict(auth)).encode()).decode()


class Credentials:
    """Finds the AuthConfig for an image that the settings have no login for. Reads the files anew each time, because
    people log in and out."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where `config.json` is: by default `$DOCKER_CONFIG` or `~/.docker`."""
        self._folder = folder

    async def find(self, reference: str, tell: Callable[[str], None]) -> dict[str, str]:
        """AuthConfig for `reference`, empty for anonymous. What keeps us from reading one is told to `tell`.

        A broken helper is no reason to fail: most images are public, and a private one will be refused.
        """
        registry = registry_of(reference)
        folder = self._folder or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        try:
            config = json.loads((folder / "config.json").read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            tell(one_line(f"no registry credentials: {folder / 'config.json'}: {error}"))
            return {}
        if not isinstance(config, dict):
            return {}
        if (helper := helper_of(config, registry)) and (found := await self._ask(helper, registry, tell)):
            return found
        return from_config(config, registry)

    async def _ask(self, helper: str, registry: str, tell: Callable[[str], None]) -> dict[str, str]:
        """Run `docker-credential-HELPER get`; empty if it knows nothing or does not work."""
        program = f"docker-credential-{helper}"
        try:
            with trio.fail_after(HELPER_SECONDS_MAX):
                async with process_group() as group:
                    done = await trio.run_process(
                        [program, "get"], stdin=_server_address(registry).encode(), capture_stdout=True,
                        capture_stderr=True, check=False, process_group=group,
                    )  # fmt: skip
            if done.returncode == 0:
                return from_helper(done.stdout, registry)
            if HELPER_NOT_FOUND in done.stdout.decode(errors="replace"):
                return {}
            why = (done.stdout + done.stderr).decode(errors="replace").strip() or f"exit status {done.returncode}"
        except trio.TooSlowError:
            why = f"no answer within {HELPER_SECONDS_MAX:g} s"
        except (OSError, ValueError, LookupError, TypeError) as error:
            why = str(error)
        tell(one_line(f"no registry credentials from {program}: {why}"))
        return {}
