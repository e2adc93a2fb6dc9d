"""A scenario told in sentences: when, who, in which state, what happened, where it went, what it asked for and said."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fsm.kernel import Kind
from fsm.machines import MACHINES
from protocol.ledger import Line, Scenario

# Event tag -> what happened, as a clause. {field} is the event's; see `_fields` for what is made readable. What stands
# in brackets is told if its field holds something.
PHRASES: Mapping[str, str] = {
    "deadline_passed": "the time for {name} was over",
    # connection
    "connection_opened": "a client connected from {remote}[ {reached}]",
    "auth_failed": "{username} was turned down ({method}): {why}",
    "authenticated": (
        "{username} was let in by {method} {by}[, rules {rules}][, template {template}][; {why}][ {reached}]"
    ),
    "session_opened": "the client opened session {session}",
    "session_ended": "session {session} ended",
    "request_refused": "the client asked for {what} and was refused: {why}",
    "disconnected": "the connection was gone {why}",
    "shim_failed": "an error of ours came up: {why}",
    "drain_wanted": "the server wanted to drain",
    "terminate_wanted": "it was told to end: {why}",
    "limit_nears": "a time limit was nearly over: {why}",
    "limit_passed": "a time limit was over: {why}",
    "close_wanted": "the server wanted it closed: {why}",
    # auth
    "login_begun": "the client began to log in",
    "name_given": "the client gave the name {username}[ and the template {template}]",
    "attempt_made": "the client tried {factor} {by} {flaw}",
    "answers_given": "the client answered the prompt",
    "attempt_dropped": "the client dropped what it had begun",
    "client_left": "the client was gone before it was let in",
    "answered": "the answer was {verdict} {username} {why}",
    "ask_failed": "there was no answer ({fault}): {why}",
    # session
    "channel_opened": "the client opened a channel ({mode} mode, image {image})",
    "env_offered": "the client offered the variable {name} {why}",
    "pty_wanted": "the client asked for a terminal, {term} of {size}",
    "command_forced": "another program took the place of what it asked for, by the word of {origin}",
    "program_wanted": "the client asked for {program} {command} {why}",
    "window_changed": "the client's window became {size}",
    "signal_wanted": "the client sent signal {signal}",
    "odd_request": "the client asked for {what}, which was refused: {why}",
    "input_ended": "the client closed its input",
    "output_ended": "the output ended after {bytes_out} bytes out, {bytes_in} in {error}",
    "channel_closed": "the channel was closed {why}",
    "exec_created": "the engine made exec {exec}",
    "exec_create_failed": "the engine did not make the exec ({fault}): {why}",
    "exec_attached": "the engine started the exec",
    "exec_attach_failed": "the engine did not start the exec ({fault}): {why}",
    "exec_inspected": "the engine gave the exec's status: {status}",
    "exec_inspect_failed": "the engine did not give the exec's status ({fault}): {why}",
    "program_spawned": "the agent started the program as {pid}",
    "spawn_failed": "the agent did not start the program ({fault}): {why}",
    "program_exited": "the agent told of the program's end: status {status} {signal}",
    # container
    "container_wanted": "{owner} wanted a container of {image} ({policy}, {mode} mode)",
    "orphan_found": "the sweep found container {name}: {why}",
    "stop_wanted": "its owner wanted it gone: {why}",
    "container_created": "the engine created it as {id}",
    "create_failed": "the engine did not create it ({fault}): {why}",
    "container_attached": "the engine attached its input and output",
    "attach_failed": "the engine did not attach to it ({fault}): {why}",
    "container_started": "the engine started it",
    "start_failed": "the engine did not start it ({fault}): {why}",
    "agent_greeted": "its agent said hello",
    "link_lost": "the link to its agent was lost: {why}",
    "container_exited": "the container exited with status {status}",
    "wait_failed": "the engine stopped waiting for its end ({fault}): {why}",
    "container_killed": "the engine delivered the signal",
    "kill_failed": "the engine did not deliver the signal ({fault}): {why}",
    "container_removed": "the engine confirmed its removal",
    "remove_failed": "the engine did not remove it ({fault}): {why}",
    "container_landed": "container {container} was running",
    "container_failed": "there was to be no container: {why}",
    "container_progressed": "it heard: {line}",
    "container_claimed": "{owner} claimed it as {container}",
    "container_renamed": "the engine renamed it",
    "rename_failed": "the engine did not rename it ({fault}): {why}",
    # spare
    "spare_wanted": "the pool wanted one more, in container {container}",
    "claim_wanted": "{owner} claimed it as {container}",
    "stale_found": "it was found stale: {why}",
    # image
    "image_wanted": "{waiter} wanted image {reference} ({policy})",
    "waiter_left": "{waiter} waited no more",
    "image_found": "the engine had it as {image_id}",
    "image_inspect_failed": "the engine did not show it ({fault}): {why}",
    "image_pulled": "the engine had pulled it",
    "pull_failed": "the engine did not pull it ({fault}): {why}",
    "pull_progressed": "the pull went on: {line}",
    "image_pull_began": "the image had to be pulled",
    "image_ready": "the image was there",
    "image_remembered": "the image was there at an earlier login",
    "image_failed": "there was to be no image: {why}",
    # terminal and signal
    "terminal_opened": "its {target} {id} was running",
    "size_wanted": "the size {size} was wanted",
    "terminal_closed": "its session ended",
    "resized": "the engine resized it",
    "resize_failed": "the engine did not resize it ({fault}): {why}",
    "signal_ordered": "{session} ordered signal {signal} for {id}",
    "signal_sent": "the engine took the signal",
    "signal_failed": "the engine did not take the signal ({fault}): {why}",
    "signal_delivered": "signal {signal} was delivered",
    # timer
    "timer_started": "{connection} was let in, with {allowed_s} s of {limit} time",
    "idle_measured": "nothing had moved for {idle_s} s",
    "timer_stopped": "its connection ended",
    # server
    "listening": "it listened on {listen}",
    "shutdown_wanted": "it was told to stop: {why}",
    "all_gone": "nothing was left",
    "reload_wanted": "{asked_by} wanted the configuration read again",
    "settings_read": "the configuration could be used[: {changes}]",
    "settings_refused": "the configuration could not be used: {why}",
    "upgrade_wanted": "somebody wanted a new version in its place",
    "successor_came": "process {pid} of version {version} asked for the listening sockets",
    "successor_ready": "the new process {pid} was ready",
    "successor_failed": "the new process failed: {why}",
}
_OPTIONAL = re.compile(r"\[([^\[\]{}]*\{(\w+)\}[^\[\]{}]*)\]")
CUT = 120  # characters of one field: a sentence stays a sentence


def story(scenario: Scenario, machines: Mapping[str, Kind] = MACHINES) -> Iterator[str]:
    """One sentence a step, in the order of the file, and one each for the beginning and the end."""
    head = scenario.header
    yield f"{head.started or 'unknown time'}  connection {head.connection or '?'}, recorded by Moorage {head.moorage}"
    for line in scenario.lines:
        yield sentence(line, machines)
    yield f"the end: {scenario.end.why}" if scenario.end else "the end is missing"
    yield from (f"damage: {text}" for text in scenario.damage)


def sentence(line: Line, machines: Mapping[str, Kind] = MACHINES) -> str:
    """What one step was, in words. Any line that `protocol.ledger` reads has one, however strange."""
    who = f"{_short(line.machine)} {_short(line.actor)}"
    return f"{line.clock:+.3f} s  {who} {_outcome(line, phrase(line.event), machines)}"


def phrase(event: Any) -> str:
    """What happened, as a clause. An event without a phrase of its own is told by its name and fields."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return "something unreadable happened"
    tag: str = event["event"]
    fields = _fields(event)
    if tag not in PHRASES:
        told = ", ".join(f"{name} {value}" for name, value in fields.items() if name not in ("event", "dice") and value)
        return tag.replace("_", " ") + (f" ({told})" if told else "")
    text = _OPTIONAL.sub(lambda match: match[1] if fields.get(match[2]) else "", PHRASES[tag])
    text = re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1], "?"), text)
    return re.sub(r" +", " ", text).strip(" :")


def _outcome(line: Line, what: str, machines: Mapping[str, Kind]) -> str:
    match line.answer:
        case {"type": "moved", "row": str(row), "source": str(source), "target": str(target), "effects": list(effects)}:
            way = f"still {target}" if source == target else f"now {target}"
            said = _codes(line.machine, row, machines)
            return f"was {source}; {what}; {way}{_asks(effects)}{f' ({said})' if said else ''} [{row}]"
        case {"type": "stale", "source": str(source)}:
            return f"was {source}; {what}, too late to matter"
        case {"type": "refused", "source": str(source)}:
            return f"was {source}; {what}; REFUSED, no row expects that here"
    return f"heard: {what}; its answer cannot be read"


def _codes(machine: str, row: str, machines: Mapping[str, Kind]) -> str:
    """The codes that today's row of that name says."""
    found = machines[machine].row.get(row) if machine in machines else None
    return ", ".join(code.name for code in found.says) if found else ""


def _asks(effects: Sequence[Any]) -> str:
    orders = [order for effect in effects if (order := _order(effect))]
    return f"; asked to {', '.join(orders)}" if orders else ""


def _order(effect: Any) -> str:
    match effect:
        case {"effect": "arm_deadline", "name": name, "seconds": seconds}:
            return f"wait at most {seconds} s ({name})"
        case {"effect": "tell", "to": to, "event": {"event": str(event)}}:
            return f"tell {_short(to)} {event.replace('_', ' ')}"
        case {"effect": str(name), **fields}:
            told = " ".join(text for text in _fields(fields).values() if text)
            return f"{name.replace('_', ' ')} {told}".strip()
    return ""


def _fields(event: Mapping[Any, Any]) -> dict[str, str]:
    """Each field as a person reads it: long ones cut, a size as 80x24, what is absent or false as nothing."""
    return {name: _short(value, name) for name, value in event.items()}


def _short(value: Any, name: str = "") -> str:
    match value:
        case {"columns": columns, "rows": rows}:
            return f"{columns}x{rows}"
        case {"event": str()}:
            return f"({phrase(value)})"
        case None | False:
            return "none yet" if name == "status" else ""
        case True:
            return name
        case [*parts]:
            value = ", ".join(map(str, parts))
        case dict():
            value = ", ".join(f"{key} {part}" for key, part in value.items())
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value))
    if re.fullmatch(r"(sha256:)?[0-9a-f]{24,}", text):
        return text[
            : 12 + len("sha256:") * text.startswith("sha256:")
        ]  # the engine's long ids, as its own tools cut them
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
