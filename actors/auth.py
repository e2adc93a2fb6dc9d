"""The auth actor: one login of one connection, from the first user name until it is let in or gone."""

from typing import TYPE_CHECKING, Any

import trio
from msgspec.structs import replace

from actors.actor import Actor
from actors.engine import mounts
from actors.login import Client, Grant, KeyOffer, LoginTransport, Offer, Question
from actors.ports import OutsideFault
from actors.sources import Said, Sources, no
from fsm.auth import AuthCell
from fsm.auth_rows import AUTH
from protocol import codes
from protocol.auth import (
    OUTCOMES,
    Answered,
    AnswersGiven,
    Ask,
    AskFailed,
    AttemptMade,
    CancelAsk,
    NameGiven,
    Prompt,
    ReplyToClient,
)
from protocol.base import Effect, Event
from protocol.rules import Chosen, choose, groups_of, unsettled
from protocol.rules import Login as RuleLogin
from protocol.settings import Settings
from protocol.ways import Factor, ways_of

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.web.oidc import Device
    from actors.world import World

CODE_PROMPT = "One-time code: "
DEVICE_TEXT = (
    "To log in, open\n\n    {page}\n\nand enter the code {code}\n\nThis login goes on by itself once that is done.\n"
)
UNREADABLE = "no key is accepted while the list of revoked ones cannot be read"
REVOKED_S = 5.0
KNOWN_MAX = 64  # keys of one connection whose answer is remembered


class AuthActor(Actor):
    """Implements `login.AuthPort`. `secrets` is what the client offers now, `grant` what it has been given for it.

    `settings` are the connection's, from which those of this login are chosen.
    """

    kind = AUTH
    beside = frozenset({Ask})
    outcomes = OUTCOMES
    cell: AuthCell

    def __init__(
        self,
        world: "World",
        id: str,
        ledger: "Ledger",
        about: dict[str, Any],
        transport: LoginTransport,
        client: Client,
        sources: Sources,
        settings: Settings,
    ) -> None:
        super().__init__(world, id, ledger, dict(about))
        self.secrets, self.grant = Offer(), Grant()
        self._transport, self._client, self._sources = transport, client, sources
        self._settings, self._chosen = settings, Chosen(settings=settings)
        self._username = self._template = ""
        self._said: tuple[Ask, Said] | None = None  # a yes, until the machine has taken it
        self._known: dict[tuple[str, str, bytes], Said] = {}  # a key is asked about twice: offered, and signed with
        self._device: Device | None = None

    # login.AuthPort

    def named(self, username: str, shown: str, template: str = "") -> None:
        self._username, self._template, self.about["username"] = username, template, shown
        self.post(NameGiven(username=shown, ways=ways_of(self._sources.settings, username), template=template))

    def attempted(self, attempt: int, factor: Factor, by: str = "", probe: bool = False, flaw: str = "") -> None:
        sources = self._sources
        made = AttemptMade(
            attempt=attempt,
            factor=factor,
            sources=sources.of(factor, self._username),
            by=by,
            probe=probe,
            flaw=flaw,
            limited=not probe and sources.is_limited(factor, self._client, self._username),
            seconds=sources.budget(factor),
        )
        self.post(made)

    def answered(self, attempt: int) -> None:
        limited = self._sources.is_limited("totp", self._client, self._username)
        self.post(AnswersGiven(attempt=attempt, limited=limited))

    # The machine's wishes

    def perform(self, effect: Effect) -> None:
        match effect:
            case CancelAsk():
                self.drop(Ask)
            case Prompt(attempt=attempt, factor="totp"):
                self._transport.prompted(attempt, Question(prompts=((CODE_PROMPT, False),)))
            case Prompt(attempt=attempt):
                assert self._device is not None
                text = DEVICE_TEXT.format(page=self._device.page, code=self._device.user_code)
                self._transport.prompted(attempt, Question(instruction=text))
            case ReplyToClient():
                self._reply(effect)
            case _:
                super().perform(effect)

    def at_once(self, effect: Effect) -> Event | None:
        """Whether a key is in the file, where no list of revoked ones is to be read."""
        key = self.secrets.key
        if not isinstance(effect, Ask) or key is None or key.revoked is not None:
            return None
        if (effect.factor, effect.source) != ("publickey", "users"):
            return None
        return self._answer(effect, self._sources.key_by_users(key))

    async def work(self, effect: Effect) -> Event:
        if not isinstance(effect, Ask):
            return await super().work(effect)
        return self._answer(effect, await self._ask(effect))

    def _answer(self, effect: Ask, said: Said) -> Answered:
        if said.verdict == "yes":
            self._said = (effect, said)
        return Answered(
            attempt=effect.attempt,
            verdict=said.verdict,
            why=said.why,
            username=said.username,
            ways=ways_of(self._sources.settings, said.username) if said.username else (),
            wait=said.wait,
        )

    def failed(self, effect: Effect, fault: OutsideFault) -> Event:
        assert isinstance(effect, Ask)
        why = f"{effect.source}: {fault.why}"
        return AskFailed(attempt=effect.attempt, fault=fault.fault, why=why, dice=self.world.roll())

    async def _ask(self, ask: Ask) -> Said:
        sources, username, secrets = self._sources, self._username, self.secrets
        match ask.factor, ask.source:
            case _, "authz":
                self._settle(ask.attempt)
                return await sources.authorize(self._client, username, self.grant)
            case _, "config":
                self._settle(ask.attempt)
                return await self._ask_for_settings()
            case "password", "users":
                return await sources.password_by_users(username, secrets.password)
            case "password", "webhook":
                return await sources.password_by_webhook(self._client, username, secrets.password)
            case "totp", "users":
                return sources.code(username, secrets.answer)
            case "oidc", "device":
                self._device = await sources.begin_device()
                return Said(verdict="shown", wait=self._device.interval_s)
            case "oidc", "token":
                assert self._device is not None
                return await sources.poll_device(self._device, username)
        return await self._ask_about_key(ask)

    async def _ask_about_key(self, ask: Ask) -> Said:
        key = self.secrets.key
        assert key is not None, f"nobody is asked about {ask.factor} at {ask.source}"
        if why := await self._revoked(key):
            return no(why)
        if ask.source == "users":
            return self._sources.key_by_users(key)
        memory = (self._username, ask.source, key.data)
        said = self._known.get(memory)
        if said is None:
            username, sources = self._username, self._sources
            if ask.source == "command":
                said = await sources.key_by_command(username, key)
            else:
                said = await sources.key_by_webhook(self._client, username, key)
            if len(self._known) < KNOWN_MAX:
                self._known[memory] = said
        return said

    async def _revoked(self, key: KeyOffer) -> str:
        """Whoever is asked about a key, this is asked first, and each time: what is revoked is so at once. In a thread,
        and given up after a while, for it waits for a disk."""
        if key.revoked is None:
            return ""
        try:
            with trio.fail_after(REVOKED_S):
                limiter = self._sources.threads
                return await trio.to_thread.run_sync(key.revoked, abandon_on_cancel=True, limiter=limiter)
        except (trio.TooSlowError, OSError, ValueError) as error:
            late = isinstance(error, trio.TooSlowError)
            why = (
                f"there was no answer within {REVOKED_S:g} s"
                if late
                else getattr(error, "strerror", None) or str(error)
            )
            self.world.say(codes.MOORAGE_REVOKED_KEYS_UNREADABLE, {**self.about, "why": why})
            return UNREADABLE

    async def _ask_for_settings(self) -> Said:
        """The webhook lays its own over what the rules give; which rules those are is not for it to say."""
        login = self._rule_login()
        chosen = choose(self._settings, login)
        if not chosen.unsettled:
            said = await self._sources.configure(self._client, self._username, self.grant, self._template)
            if said.verdict != "yes":
                return said
            chosen = choose(self._settings, login, said.part)
            if not chosen.unsettled and (why := await self._danger(chosen.settings)):
                chosen = unsettled(chosen, "config", f"by the webhook: {why}")
        self._chosen = chosen
        return no(chosen.why) if chosen.unsettled else said

    async def _danger(self, settings: Settings) -> str:
        """What the host's paths lead to that the file does not have, which only the file system knows; empty: nothing
        that is refused."""
        if settings.docker.execution.host == self._settings.docker.execution.host:
            return ""
        alone, limiter = replace(settings, rules=(), templates={}), self._sources.threads
        found = await trio.to_thread.run_sync(mounts.check, alone, abandon_on_cancel=True, limiter=limiter)
        return "; ".join(f"{path}: {sentence}" for path, sentence in found)

    def _rule_login(self) -> RuleLogin:
        grant, username = self.grant, self.grant.username or self._username
        return RuleLogin(
            username=username,
            groups=groups_of(self._settings.auth, username, grant.metadata),
            key=grant.by,
            host=self._client.host,
            template=self._template,
        )

    def _choice(self, why: str) -> Chosen:
        """The settings of this login. `why`: the webhook, if there is one, has none for it."""
        chosen = self._chosen if self.cell.configures and not why else choose(self._settings, self._rule_login())
        if not why and self.world.agents is None and chosen.settings.docker.execution.transport == "served":
            why = f"docker.execution.transport is served, and {self.world.why_no_agents}"
        return unsettled(chosen, "config", why) if why and not chosen.unsettled else chosen

    def _reply(self, effect: ReplyToClient) -> None:
        if effect.counts:
            self._sources.note_failure(self.cell.factor, self._client, self._username)
        if effect.reply in ("success", "partial"):
            self._settle(effect.attempt)
        if effect.reply == "success":
            self.grant.chosen = self._choice(effect.unsettled)
            self.grant.username = self.grant.username or self._username
            self.secrets, self._device = Offer(), None
            self._known.clear()
        self._transport.replied(effect.attempt, effect.reply, effect.why, self.cell.passed)

    def _settle(self, attempt: int) -> None:
        """What a source has said becomes part of the grant; the first factor of a way begins a new one."""
        if self._said is None or self._said[0].attempt != attempt:
            return
        (ask, said), self._said = self._said, None
        if ask.source not in ("authz", "config") and len(self.cell.passed) == 1:
            self.grant = Grant()
        grant = self.grant
        grant.factors = self.cell.passed
        grant.username = said.username or grant.username
        if ask.factor == "publickey" and self.secrets.key is not None:
            grant.by = self.secrets.key.fingerprint
        grant.rights = said.rights or grant.rights
        grant.metadata = {**grant.metadata, **(said.metadata or {})}
        grant.environment = {**grant.environment, **(said.environment or {})}
        grant.files = {**grant.files, **(said.files or {})}
