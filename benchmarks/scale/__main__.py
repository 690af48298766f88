"""Print a table of costs for several numbers of images, with slopes: 1 is proportional to n."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.scale.costs import Cost, costs, slopes
from lptpp.utils.progress import console


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
    found: list[Cost] = []
    for size in parser.parse_args().images:
        console.print(f"{size:,} images …")
        with tempfile.TemporaryDirectory() as folder:
            found += costs(size, Path(folder))
    print(table(found))


if __name__ == "__main__":
    main()
