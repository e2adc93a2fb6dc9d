"""The found numbers as a Markdown page and as JSON. No host names, no paths."""

import os
import platform
from statistics import median
from typing import Any

import msgspec

from benchmarks.bench import Bench
from benchmarks.results import RATES, Comparison, Group
from benchmarks.stats import p95


def machine(bench: Bench, seed: int) -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "cores": str(os.cpu_count()),
        "load at start": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        **bench.engine.facts(),
        "openssh": bench.ssh.version(),
        "rounds": str(bench.scale.rounds),
        "seed": str(seed),
    }


def markdown(groups: list[Group], facts: dict[str, str]) -> str:
    """One section a group: the series, and how they compare."""
    parts = [", ".join(f"{name} {value}" for name, value in facts.items()) + "."]
    for group in groups:
        parts.append(_section(group))
    return "\n\n".join(parts) + "\n"


def _section(group: Group) -> str:
    lines = [f"### {group.title}", ""]
    if group.note:
        lines += [group.note, ""]
    lines += [f"| {group.unit} | n | median | p95 | promise |", "|---|--:|--:|--:|---|"]
    slow = "p5" if group.unit in RATES else "p95"
    lines[-2] = lines[-2].replace("p95", slow)
    for name, values in group.values.items():
        tail = -p95([-value for value in values]) if slow == "p5" else p95(values)
        promise = group.bounds.get(name)
        said = _verdict(promise.text, promise.holds(median(values), median(values))) if promise else ""
        lines.append(f"| {name} | {len(values)} | {_number(median(values))} | {_number(tail)} | {said} |")
    if group.comparisons:
        lines += ["", "| ratio, paired | median | 95 % | promise |", "|---|--:|---|---|"]
        lines += [_compared(group, comparison) for comparison in group.comparisons]
    return "\n".join(lines)


def _compared(group: Group, comparison: Comparison) -> str:
    found = group.ratio(comparison)
    promise = comparison.promise
    said = _verdict(promise.text, promise.holds(found.low, found.high)) if promise else ""
    interval = f"{found.low:.2f} to {found.high:.2f}"
    return f"| {comparison.ours} / {comparison.theirs} | {found.middle:.2f} | {interval} | {said} |"


def _verdict(text: str, holds: bool) -> str:
    return f"{text}: {'holds' if holds else '**not yet**'}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def as_json(groups: list[Group], facts: dict[str, str]) -> bytes:
    """All values, in the order of the rounds, and the ratios."""
    found: list[dict[str, Any]] = []
    for group in groups:
        ratios = [
            {"ours": one.ours, "theirs": one.theirs, **msgspec.to_builtins(group.ratio(one))}
            for one in group.comparisons
        ]
        found.append({"key": group.key, "unit": group.unit, "values": group.values, "ratios": ratios})
    return msgspec.json.format(msgspec.json.encode({"machine": facts, "groups": found}), indent=1) + b"\n"
