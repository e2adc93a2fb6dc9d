"""`python -m benchmarks`: measure, and print the table."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from actors.ports import EngineFault
from benchmarks import crowd, latency, load, machines, report
from benchmarks.bench import FULL, MIB, QUICK, Bench, Scale, open_bench
from benchmarks.engine import EngineSaidNo
from benchmarks.openssh import ClientFailed
from benchmarks.results import Group
from benchmarks.servers import CannotStart
from moorage.debian import NEEDS, Missing, program

MEASURES: dict[str, Callable[[Bench], list[Group]]] = {
    "cold": latency.cold_login,
    "second": latency.second_exec,
    "throughput": load.throughput,
    "sustained": crowd.sustained,
    "burst": crowd.burst,
    "typing": crowd.typing,
    "memory": load.memory,
    "cpu": load.cpu,
    "gone": latency.gone_after_kill,
    "machines": machines.machines,
}


def check_needs() -> None:
    """Raises `Missing` with one sentence."""
    if os.geteuid() != 0:
        raise Missing("the benchmarks start an sshd of their own, which takes root: run them as root")
    missing = [need.package for need in NEEDS["bench"] if not need.here()]
    missing += [package for package, name in (("docker.io", "docker"), ("dash", "dash")) if program(name) is None]
    if missing:
        names = " ".join(dict.fromkeys(missing))
        raise Missing(f"the benchmarks lack {names.replace(' ', ', ')}: install with `apt-get install {names}`")


def run(scale: Scale, only: list[str], seed: int, json_file: Path | None) -> str:
    """The Markdown page."""
    check_needs()
    groups: list[Group] = []
    with open_bench(scale, seed) as bench:
        facts = report.machine(bench, seed)
        for name in only or list(MEASURES):
            bench.say(f"measuring: {name}")
            groups += MEASURES[name](bench)
            if json_file is not None:  # after each, so that a run broken off is not lost
                json_file.write_bytes(report.as_json(groups, facts))
    return report.markdown(groups, facts)


def main() -> int:
    """Exit codes: 0 measured, 1 could not, 2 misused."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Moorage beside OpenSSH's sshd and the engine.")
    parser.add_argument("--quick", action="store_true", help="5 rounds in place of 30, shorter transfers")
    parser.add_argument("--transfer-mib", type=int, metavar="N", help="size of a transfer; 1024 for what is promised")
    parser.add_argument("--only", action="append", choices=list(MEASURES), default=[], help="may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--seed", type=int, default=1, help="of the order within each round")
    words = parser.parse_args()
    try:
        scale = QUICK if words.quick else FULL
        if words.transfer_mib:
            scale = replace(scale, transfer_bytes=words.transfer_mib * MIB)
        sys.stdout.write(run(scale, words.only, words.seed, words.json))
    except (Missing, EngineFault, EngineSaidNo, CannotStart, ClientFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
