"""The table *promise · tried · held*: in the terminal, as JSON, and as a page of the documentation."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.machine import stamp, stamp_line
from benchmarks.reliability.costs import in_words
from benchmarks.reliability.promise import Tally
from lptpp.utils import io

START, END = "<!-- table of make reliability -->\n", "<!-- end -->\n"
Tallies = Mapping[str, Tally]
LONGEST = 2_000  # characters of a problem that are printed


def live_table(tallies: Tallies, now: str | None = None, left: float | None = None) -> Table:
    """Return the table so far, with the seconds that are left; the promise that is tried `now` is marked."""
    table = Table("Promise", "Tried", "Held", "", caption=None if left is None else f"about {in_words(left)} left")
    for name, tally in tallies.items():
        style = "bold" if name == now else ("green" if tally.kept else "red" if tally.tried or tally.note else "dim")
        table.add_row(tally.text, str(tally.tried), str(tally.held), tally.note, style=style)
    return table


def problem_lines(tallies: Tallies) -> Iterator[str]:
    """Yield what did not hold."""
    for name, tally in tallies.items():
        for problem in tally.problems:
            yield f"{name}, {problem.trial}: {problem.problem[-LONGEST:]}"


def write_json(path: Path, tallies: Tallies) -> None:
    """Write everything."""
    rows = {name: {**asdict(tally), "held": tally.held, "kept": tally.kept} for name, tally in tallies.items()}
    io.write_json(path, {"machine": stamp(torch.device("cpu")), "promises": rows})


def write_page(path: Path, tallies: Tallies) -> None:
    """Replace the table in a page of the documentation."""
    before, _, rest = path.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    rows = [f"| `{name}` | {tally.text} | {tally.tried} | {tally.held} |" for name, tally in tallies.items()]
    lines = ["| name | promise | tried | held |", "| --- | --- | --- | --- |", *rows, "", *_reasons(tallies)]
    minutes = [f"{name} {tally.seconds / 60:.1f}" for name, tally in tallies.items()]
    lines += [f"Minutes: {sum(tally.seconds for tally in tallies.values()) / 60:.0f} ({', '.join(minutes)}).", ""]
    lines.append(stamp_line(stamp(torch.device("cpu"))))
    io.write_text(path, before + START + "\n" + "\n".join(lines) + "\n\n" + END + after)


def _reasons(tallies: Tallies) -> Iterator[str]:
    """Yield why promises did not hold, or were not tried."""
    found = [f"- `{name}`: {tally.note}." for name, tally in tallies.items() if tally.note]
    for name, tally in tallies.items():
        found += [f"- `{name}`, {one.trial}, did not hold: `{_last_line(one.problem)}`" for one in tally.problems]
    yield from [*found, ""] if found else []


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines() or [""]
    return lines[-1].replace("`", "'")[:200]
