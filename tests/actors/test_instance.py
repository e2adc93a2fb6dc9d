"""Boots and their locks: who lives, and that clearing up after the dead never takes a newborn's."""

import fcntl
import os
import threading
from pathlib import Path

from actors.instance import Instance


def test_a_boot_lives_until_it_is_closed(tmp_path: Path) -> None:
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert first.id == second.id and first.boot != second.boot
    assert second.is_alive(first.boot)
    first.close()
    assert not second.is_alive(first.boot)
    second.close()


def test_what_the_dead_left_is_forgotten(tmp_path: Path) -> None:
    boots = tmp_path / "boots"
    with_links = Instance(tmp_path)
    dead = with_links.boot
    (with_links.links / "0123456789ab").mkdir(parents=True)
    os.close(with_links._lock)  # as the kernel does at a death
    alive = Instance(tmp_path)
    alive.forget_dead()
    assert [path.name for path in boots.iterdir()] == [alive.boot] and dead != alive.boot
    alive.close()


def test_nobody_clears_up_while_a_boot_is_made(tmp_path: Path) -> None:
    """Between making its lock file and taking the lock a newborn looks dead: the folder is held for that long."""
    one = Instance(tmp_path)
    folder = os.open(tmp_path / "boots", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    (tmp_path / "boots" / "newborn").touch()
    clearing = threading.Thread(target=one.forget_dead)
    clearing.start()
    clearing.join(0.3)
    assert clearing.is_alive() and (tmp_path / "boots" / "newborn").exists()
    os.close(folder)
    clearing.join()
    assert not (tmp_path / "boots" / "newborn").exists()
    one.close()
