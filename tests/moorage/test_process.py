"""What the daemon does about its own process."""

import gc

from moorage.process import keep_what_is_there


def test_what_is_there_is_looked_at_by_no_collection() -> None:
    before = gc.get_freeze_count()
    try:
        keep_what_is_there()
        assert gc.get_freeze_count() > before + 1000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
