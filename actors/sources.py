"""Who is asked about a login: the configuration, a command, a webhook, an identity provider. Built once from the
settings and shared by all auth actors."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import trio
from msgspec import Struct

from actors import passwords
from actors.command import run_keys_command
from actors.limit import FailureCount, place_of
from actors.login import Client, Grant, Judgement, KeyOffer, Rights
from actors.totp import Codes
from actors.web.client import OpenWeb, WebClient
from actors.web.oidc import Device, Oidc
from actors.web.webhook import AuthWebhook, ConfigWebhook
from protocol.auth import Source, Verdict
from protocol.settings_auth import AskWebhook, Auth, KeysCommand
from protocol.settings_part import as_webhook_means
from protocol.settings_read import read_part
from protocol.settings_services import ConfigServer
from protocol.ways import Factor
from protocol.webhook import AuthResponse, BinaryValue, ConfigResponse, Value

T = TypeVar("T")
# verify(hash, password): one try, which takes its time outside the loop's thread.
Verify = Callable[[str, str], Awaitable[bool]]
RunKeysCommand = Callable[[KeysCommand, Mapping[str, str]], Awaitable[str]]
WRONG_PASSWORD = "the password does not fit"
WRONG_CODE = "the code does not fit"
PROBLEMS_TOLD_MAX = 3
THREADS_MAX = 8
TEMPLATE = "MOORAGE_TEMPLATE"  # metadata that tells the configuration webhook what the user has chosen


class Said(Struct, frozen=True, kw_only=True):
    """A source's answer. `None` for a map: it says nothing about it."""

    verdict: Verdict
    why: str = ""
    username: str = ""
    wait: float = 0.0
    rights: Rights | None = None
    metadata: Mapping[str, Value] | None = None
    environment: Mapping[str, Value] | None = None
    files: Mapping[str, BinaryValue] | None = None
    part: Mapping[str, Any] | None = None  # of the settings


def no(why: str) -> Said:
    return Said(verdict="no", why=why)


class Outside(Struct, frozen=True, kw_only=True):
    """What sources reach out to: a thread for passwords, web services, a program. `wall` gives seconds since 1970."""

    verify: Verify = passwords.verify
    wall: Callable[[], float] = time.time
    web: OpenWeb = WebClient
    run_command: RunKeysCommand = run_keys_command


class Sources:
    """`failures` counts by address, and for codes by user name as well, for a code has only six digits."""

    def __init__(
        self,
        auth: Auth,
        configserver: ConfigServer | None = None,
        outside: Outside | None = None,
    ) -> None:
        self.settings, self._outside = auth, outside or Outside()
        self.threads = trio.CapacityLimiter(THREADS_MAX)  # those that wait for a disk must not be all there are
        self._hashes = {name: user.password_hash for name, user in auth.users.items() if user.password_hash}
        self._decoy = next(iter(self._hashes.values()), "")
        self._codes = Codes({name: user.totp for name, user in auth.users.items() if user.totp})
        web = self._outside.web
        self._password = _webhook(auth.password, web)
        self._key = _webhook(auth.public_key, web)
        self._authz = _webhook(auth.authz, web)
        self._config = ConfigWebhook(configserver, web) if configserver is not None and configserver.url else None
        self._skips_zeros = configserver is not None and configserver.zero_values == "skip"
        oauth2 = auth.keyboard_interactive.oauth2
        self._oidc = Oidc(oauth2, web) if auth.keyboard_interactive.method else None
        self._failures = FailureCount(auth.failures.max, auth.failures.period, trio.current_time)

    def go_on(self, before: "Sources") -> None:
        """With the counts of those until now: a reload pardons nobody."""
        self._failures.go_on(before._failures)
        self._codes.go_on(before._codes)

    async def close(self) -> None:
        for service in (self._password, self._key, self._authz, self._oidc, self._config):
            if service is not None:
                await service.close()

    def of(self, factor: Factor, username: str) -> tuple[Source, ...]:
        """Whom to ask about a factor, in this order. The same for every name that the configuration does not hold."""
        match factor:
            case "publickey":
                command: tuple[Source, ...] = ("command",) if self.settings.authorized_keys_command.command else ()
                webhook: tuple[Source, ...] = ("webhook",) if self._key else ()
                return ("users", *command, *webhook)
            case "password":
                return ("webhook",) if self._password and username not in self._hashes else ("users",)
            case "oidc":
                return ("device",) if self._oidc else ()
        return ("users",)

    def budget(self, factor: Factor) -> float:
        """Seconds for all the questions about one attempt; 0: nobody outside is asked."""
        if factor == "publickey":
            command = self.settings.authorized_keys_command
            seconds = command.timeout if command.command else 0.0
            return seconds + (self.settings.public_key.webhook.auth_timeout if self._key else 0.0)
        if factor == "password" and self._password:
            return self.settings.password.webhook.auth_timeout
        return self.settings.keyboard_interactive.oauth2.oidc.timeout * 2 if factor == "oidc" else 0.0

    def is_limited(self, factor: Factor, client: Client, username: str) -> bool:
        by_name = factor == "totp" and self._failures.is_full(f"totp {username}")
        return by_name or self._failures.is_full(place_of(client.host))

    def note_failure(self, factor: Factor, client: Client, username: str) -> None:
        self._failures.failed(place_of(client.host))
        if factor == "totp":
            self._failures.failed(f"totp {username}")

    # Asking. Each raises `OutsideFault`.

    async def password_by_users(self, username: str, password: str) -> Said:
        """For who has no password, somebody's hash is tried all the same, so that the time tells nothing."""
        known = self._hashes.get(username)
        fits = await self._outside.verify(known or self._decoy, password)
        return Said(verdict="yes") if fits and known is not None else no(WRONG_PASSWORD)

    async def password_by_webhook(self, client: Client, username: str, password: str) -> Said:
        assert self._password is not None
        return _said(await self._password.password(client, username, password), WRONG_PASSWORD)

    def code(self, username: str, code: str) -> Said:
        fits = self._codes.fits(username, code, self._outside.wall())
        return Said(verdict="yes") if fits else no(WRONG_CODE)

    def key_by_users(self, key: KeyOffer) -> Said:
        return _judged(key.by_users())

    async def key_by_command(self, username: str, key: KeyOffer) -> Said:
        """A name with a dash in front would be taken for an option; sshd's own accounts have none."""
        if not username or username.startswith("-") or not username.isprintable():
            return no("a user name that is given to no command")
        kind, _, blob = key.line.partition(" ")
        tokens = {"u": username, "t": kind, "k": blob, "f": key.fingerprint}
        return _judged(key.by_lines(await self._outside.run_command(self.settings.authorized_keys_command, tokens)))

    async def key_by_webhook(self, client: Client, username: str, key: KeyOffer) -> Said:
        assert self._key is not None
        if not key.line:
            return no("webhooks are not asked about certificates")
        return _said(await self._key.public_key(client, username, key.line), "the webhook does not know this key")

    async def begin_device(self) -> Device:
        assert self._oidc is not None
        return await self._oidc.begin()

    async def poll_device(self, device: Device, username: str) -> Said:
        assert self._oidc is not None
        person = await self._oidc.poll(device)
        if person is None:
            return Said(verdict="pending", wait=device.interval_s)
        if isinstance(person, str):
            return no(person)
        if self.settings.keyboard_interactive.oauth2.oidc.enforce_username and person.username != username:
            return no("the provider knows the person by another name")
        return Said(verdict="yes", username=person.username, metadata=person.metadata)

    async def authorize(self, client: Client, username: str, grant: Grant) -> Said:
        assert self._authz is not None
        return _said(await self._authz.authorize(client, username, grant), "the webhook does not authorize this")

    async def configure(self, client: Client, username: str, grant: Grant, template: str) -> Said:
        """The settings that the webhook has for a login, as a part; no: they are none that the file could have."""
        assert self._config is not None
        more = {TEMPLATE: template} if template else {}
        response: ConfigResponse = await self._config.configure(client, username, grant, more)
        part, problems = read_part(as_webhook_means(response.config, self._skips_zeros), "config")
        if problems:
            return no("; ".join(str(problem) for problem in problems[:PROBLEMS_TOLD_MAX]))
        return Said(
            verdict="yes",
            metadata=response.metadata,
            environment=response.environment,
            files=response.files,
            part=part,
        )


def _webhook(section: AskWebhook, web: OpenWeb) -> AuthWebhook | None:
    return AuthWebhook(section.webhook, web) if section.method else None


def _judged(judgement: Judgement) -> Said:
    return no(judgement) if isinstance(judgement, str) else Said(verdict="yes", rights=judgement)


def _said(response: AuthResponse, why: str) -> Said:
    if not response.success:
        return no(why)
    return Said(
        verdict="yes",
        username=response.authenticated_username,
        metadata=response.metadata,
        environment=response.environment,
        files=response.files,
    )
