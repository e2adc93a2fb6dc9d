"""The auth machine among a client of many minds, sources that answer late or never, and the clock."""

from typing import Any

from fsm.auth_rows import AUTH
from fsm.kernel import Kind
from protocol.auth import (
    Answered,
    AnswersGiven,
    Ask,
    AskFailed,
    AttemptDropped,
    AttemptMade,
    CancelAsk,
    ClientLeft,
    LoginBegun,
    NameGiven,
    Prompt,
    ReplyToClient,
    Source,
    Verdict,
)
from protocol.base import Effect, Event, Fault
from protocol.ways import Factor, Way
from tests.fsm.walks import Choice, World, Wrong

WAYS: dict[str, tuple[Way, ...]] = {
    "ann": (("publickey", "totp"), ("password", "totp")),
    "bob": (("publickey",), ("password",), ("oidc",)),
    "eve": (("password", "publickey", "oidc"), ("oidc", "password")),
}
SOURCES: dict[Factor, tuple[Source, ...]] = {
    "publickey": ("users", "command", "webhook"),
    "password": ("webhook",),
    "totp": ("users",),
    "oidc": ("device",),
}


class AuthWorld(World):
    """`proved` is what the sources have said yes to for the name of now: the only thing that may let anybody in."""

    kind = AUTH

    def __init__(self, kind: Kind, seed: int) -> None:
        super().__init__(kind, seed)
        self.authorizes = self.dice.random() < 0.6
        self.configures = self.dice.random() < 0.7
        self.honest = self.dice.choice((0.2, 0.6, 0.95))
        self.fickle = self.dice.choice((0.0, 0.05, 0.3))  # drops what it began
        self.lag = self.dice.choice((0.5, 0.03))  # how soon an answer to what was dropped is heard
        self.limited = self.dice.choice((0.0, 0.0, 0.2))
        self.name, self.attempt = "", 0
        self.made: AttemptMade | None = None  # without a reply yet
        self.prompt = self.gone = self.granted = self.authorized = False
        self.configured: bool | None = None  # what the webhook has said about settings
        self.asks: list[Ask] = []  # under way; more than one when an answer crosses a drop
        self.late: list[Event] = []  # answers to what was dropped
        self.crossing: list[Event] = []  # what the client sent before it heard the reply
        self.proved: list[Factor] = []
        self.names_other = False
        self.their_ways: Way = ()
        self.take(
            LoginBegun(
                connection="cn",
                remote="192.0.2.1:4",
                authorizes=self.authorizes,
                configures=self.configures,
                seconds={"authorize": 9.0, "device": 9.0, "configure": 9.0},
            )
        )
        self.take(self._name())

    def choices(self) -> list[Choice]:
        if self.crossing:
            return [(1.0, self._crosses)]
        found: list[Choice] = [(0.05 if not self.fair else 1.0, self._leaves)]
        if self.fair:
            found = [(1.0, self._leaves)] if self.made is None else []
        if self.made is None and not self.fair:
            found += [(0.5, self._tries), (0.05, self._name)]
        if self.prompt:
            found.append((0.5, self._answers))
        if self.made is not None and self.fickle and not self.fair:
            found.append((self.fickle, self._drops))
        found += [(0.6, self._source)] if self.asks else []
        found += [(0.5 if self.fair else self.lag, lambda: self.late.pop(0))] if self.late else []
        return found

    def _leaves(self) -> Event:
        self.gone = True
        return ClientLeft()

    def _name(self) -> Event:
        self.configured = None
        self.name = self.dice.choice(tuple(WAYS))
        self.proved = []
        return NameGiven(username=self.name, ways=WAYS[self.name])

    def _tries(self) -> Event:
        self.attempt += 1
        after = [way[len(self.proved)] for way in WAYS[self.name] if way[: len(self.proved)] == tuple(self.proved)]
        likely = after if after and self.dice.random() < 0.8 else list(SOURCES)
        factor: Factor = self.dice.choice(likely)
        self.made = AttemptMade(
            attempt=self.attempt,
            factor=factor,
            sources=SOURCES[factor] if self.dice.random() < 0.95 else (),
            probe=factor == "publickey" and self.dice.random() < 0.3,
            flaw="its signature is wrong" if self.dice.random() < 0.05 else "",
            limited=self.dice.random() < self.limited,
            seconds=self.dice.choice((0.0, 9.0)),
        )
        return self.made

    def _answers(self) -> Event:
        self.prompt = False
        return AnswersGiven(attempt=self.attempt, limited=self.dice.random() < self.limited)

    def _drops(self) -> Event:
        """What is under way may still be answered: it was posted before the drop was heard."""
        self.made, self.prompt, self.proved = None, False, []
        return AttemptDropped(attempt=self.attempt)

    def _crosses(self) -> Event:
        event = self.crossing.pop()
        if isinstance(event, AttemptDropped):
            self.proved = []
        return event

    def _source(self) -> Event:
        ask = self.asks.pop()
        if ask.source == "config":
            return self._config(ask.attempt)
        if not self.ok():
            fault = self.fault(AskFailed)
            return _of_attempt(fault, ask.attempt)
        yes = self.dice.random() < self.honest
        verdict: Verdict = "yes" if yes else "no"
        if ask.source == "device":
            return Answered(attempt=ask.attempt, verdict="shown", wait=1.0)
        if ask.source == "token" and self.dice.random() < 0.5:
            return Answered(attempt=ask.attempt, verdict="pending", wait=1.0)
        self.names_other = yes and ask.source != "authz" and self.dice.random() < 0.1
        self.authorized = yes and ask.source == "authz"
        if yes and ask.source != "authz" and self.made is not None and not self.made.probe:
            self.proved.append(ask.factor)
        self.their_ways = (ask.factor,) if self.dice.random() < 0.5 else (ask.factor, "totp")
        named: dict[str, Any] = {"username": "mal", "ways": (self.their_ways,)} if self.names_other else {}
        return Answered(attempt=ask.attempt, verdict=verdict, **named)

    def _config(self, attempt: int) -> Event:
        if not self.ok() or self.dice.random() < 0.3:
            return _of_attempt(self.fault(AskFailed), attempt)
        self.configured = self.dice.random() < 0.6
        return Answered(
            attempt=attempt, verdict="yes" if self.configured else "no", why="" if self.configured else "no"
        )

    def asked(self, effect: Effect) -> None:
        match effect:
            case Ask():
                self.expect(not self.asks, "two questions at once")
                self.expect(self.made is not None and effect.attempt == self.attempt, "asks about what nobody tries")
                self.expect(
                    effect.source != "authz" or tuple(self.proved) in WAYS[self.name], "the last word too early"
                )
                let_in = self.authorized or not self.authorizes
                is_late_enough = tuple(self.proved) in WAYS[self.name] and let_in
                self.expect(effect.source != "config" or is_late_enough, "settings for somebody who is not let in")
                self.asks.append(effect)
            case CancelAsk():
                if self.asks and self.dice.random() < 0.5:  # too late: it is in the mailbox already
                    ask = self.asks[0]
                    self.late.append(Answered(attempt=ask.attempt, verdict="yes"))
                elif self.asks:
                    self.late.append(_of_attempt(self.fault(AskFailed), self.asks[0].attempt))
                self.asks.clear()
            case Prompt(attempt=attempt):
                self.expect(attempt == self.attempt and self.made is not None, "asks a person who is not there")
                self.prompt = True
            case ReplyToClient():
                self._heard(effect)
            case _:
                raise Wrong(f"nobody knows {effect}")

    def _heard(self, reply: ReplyToClient) -> None:
        made, was_prompted, self.made, self.prompt = self.made, self.prompt, None, False
        assert made is not None and reply.attempt == self.attempt, "a reply to nobody"
        self.expect(not self.asks, "a reply while somebody is being asked")
        match reply.reply:
            case "success":
                self.expect(tuple(self.proved) in WAYS[self.name], "let in without having proved it all")
                self.expect(self.authorized or not self.authorizes, "let in without the last word")
                self.expect(not self.names_other or len(self.proved) == 1, "one factor of several is another's")
                self.expect(not self.names_other or len(self.their_ways) == 1, "around another's second factor")
                is_told = reply.unsettled != ""
                self.expect(self.configures or not is_told, "no settings, and nobody was asked for them")
                self.expect(not self.configures or is_told is not self.configured, "settings that nobody has given")
                self.granted = True
            case "partial":
                part = tuple(self.proved)
                self.expect(any(way[: len(part)] == part for way in WAYS[self.name]), "on a way that leads nowhere")
            case "acceptable":
                self.expect(made.probe, "accepted without being asked about")
            case _:
                self.expect(not (reply.reply == "unavailable" and reply.counts), "blamed for what it did not do")
                self.expect(not (made.probe and reply.counts and not made.flaw), "blamed for asking")
                self.proved = list(reply.factors)
                if self.dice.random() < self.fickle / 3:
                    self.crossing.append(AttemptDropped(attempt=self.attempt))
                elif was_prompted:
                    self.crossing.append(AnswersGiven(attempt=self.attempt))

    def always(self) -> None:
        self.expect(self.cell.state != "GRANTED" or self.granted, "let in and not told")

    def at_end(self) -> None:
        self.expect(self.granted != self.gone, "let in, or gone, and not both")


def _of_attempt(fault: Fault, attempt: int) -> Event:
    assert isinstance(fault, AskFailed)
    return AskFailed(attempt=attempt, fault=fault.fault, why=fault.why, dice=fault.dice)
