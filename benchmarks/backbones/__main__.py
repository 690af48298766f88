"""The share of timm's and open_clip's models that can be experts, with and without prompts.

    python -m benchmarks.backbones                          all: 20 minutes on one core
    python -m benchmarks.backbones --only convnext eva      names that contain one of these

No network is used. Trials are added to a file as they are made; an interrupted command continues where it stopped.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.backbones.names import all_wanted, local_text_models
from benchmarks.backbones.table import tables
from benchmarks.backbones.trial import Trial, shapes_only
from benchmarks.machine import stamp, stamp_line
from lptpp.utils.io import write_json
from lptpp.utils.progress import progress_bar

REAL = 3_000_000  # parameters


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the trials, print the tables, and write them."""
    options = parsed(arguments)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    trials = list(made(options))
    machine = stamp(torch.device("cpu"))
    print("\n".join(tables(trials)), end=f"\n\n{stamp_line(machine)}\n")
    write_json(options.json, {"machine": machine, "trials": [asdict(one) for one in trials]})


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="only names that contain one of these")
    parser.add_argument("--real", type=int, default=REAL, help="compute models of at most so many parameters")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/backbones.json"), help="all trials")
    return parser.parse_args(arguments)


def made(options: argparse.Namespace) -> Iterator[Trial]:
    """Yield the trials: those in the lines next to the JSON file, and new ones, which are added to them."""
    lines = options.json.with_suffix(".jsonl")
    known = {(one.kind, one.name, one.tags): one for one in read(lines)}
    wanted = [one for one in all_wanted(options.real) if any(part in one.name for part in options.only)]
    with (
        local_text_models(),
        shapes_only(),
        lines.open("a", encoding="utf-8") as file,
        progress_bar("Models", len(wanted)) as bar,
    ):
        for one in wanted:
            if (trial := known.get((one.kind, one.name, one.tags))) is None:
                trial = one.make()
                print(json.dumps(asdict(trial)), file=file, flush=True)
            yield trial
            bar.advance(note=one.name)


def read(path: Path) -> Iterator[Trial]:
    """Yield the trials in a file of lines; none if it does not exist."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            yield Trial(**found | {"tags": tuple(found["tags"]), "refused": tuple(found["refused"])})


if __name__ == "__main__":
    main()
