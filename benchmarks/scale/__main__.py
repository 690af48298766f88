"""Print a table of costs for several numbers of images, with slopes: 1 is proportional to n."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.scale.costs import Cost, costs, slopes
from benchmarks.scale.start import start_of_folders, start_of_list
from lptpp.utils.progress import console

STARTS = {  # by option
    "list": (start_of_list, "a list of N lines"),
    "folders": (start_of_folders, "N images in folders"),
}


def table(found: list[Cost]) -> str:
    """Return a Markdown table: a row for each cost, a column for each n, and the slope."""
    sizes = sorted({cost.images for cost in found})
    heads = " | ".join(f"n = {size:,}" for size in sizes)
    lines = [f"| cost | {heads} | slope |", "| --- " * (len(sizes) + 2) + "|"]
    values = {(cost.what, cost.images): cost for cost in found}
    for what, slope in slopes(found).items():
        cells = [_cell(values[what, size]) for size in sizes]
        lines.append(f"| {what} | {' | '.join(cells)} | {slope:.2f} |")
    return "\n".join(lines)


def _cell(cost: Cost) -> str:
    return (
        f"{cost.value / cost.images:.0f} bytes per image" if cost.unit == "bytes" else f"{cost.value:.3g} {cost.unit}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    for name, (_, what) in STARTS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"measure up to the first step of a run on {what}")
    given = parser.parse_args()
    starts = [(measure, number) for name, (measure, _) in STARTS.items() if (number := getattr(given, name))]
    for measure, number in starts:
        console.print(f"{number:,} images: writing them, then one run …")
        with tempfile.TemporaryDirectory() as folder:
            print(f"{number:,} images, from the command to the first step: {measure(number, Path(folder))}")
    if not starts:
        _print_costs(given.images)


def _print_costs(images: list[int]) -> None:
    found: list[Cost] = []
    for size in images:
        console.print(f"{size:,} images …")
        with tempfile.TemporaryDirectory() as folder:
            found += costs(size, Path(folder))
    print(table(found))


if __name__ == "__main__":
    main()
