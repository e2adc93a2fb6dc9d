"""`python benchmarks/run.py`: the same as `python -m benchmarks`, from any folder."""

import sys
from pathlib import Path
from runpy import run_module

sys.path[0] = str(Path(__file__).resolve().parent.parent)
run_module("benchmarks", run_name="__main__")
