"""The list of `lptpp backbones`."""

from collections.abc import Mapping

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lptpp.backbones.catalog import Facts, Name, bundled_names, facts, matching
from lptpp.config import load_settings
from lptpp.config.resolve import presets
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

UNKNOWN = "–"
UNNAMED = "see the model card"  # licenses that neither library names
WIDEST = 1000  # characters


def show_backbones(console: Console, pattern: str | None) -> None:
    """Print the backbones that match a pattern; without one, those of the package and of its presets.

    Raises:
        UserError: no name matches.
    """
    names = of_presets() if pattern is None else matching(pattern)
    if not names:
        raise UserError(f"No backbone has {pattern} in its name; `lptpp backbones '*'` lists all.")
    found = {}
    with progress_bar("Backbones", len(names)) as bar:
        for name in names:
            found[name] = facts(name)
            bar.advance(note=name.name)
    table = Table("Name", "Kind", "Parameters", "Pixels", "License", "Prompts", box=None)
    for name, one in found.items():
        table.add_row(*map(Text, cells(name, one)))
    _print_whole(console, table)
    for reason, refused in _reasons(found).items():
        console.print(Text(f"no prompts: {', '.join(refused)} {reason}"), soft_wrap=True)
    for missing in dict.fromkeys(one.missing for one in found.values() if one.missing is not None):
        console.print(Text(missing), soft_wrap=True)


def _print_whole(console: Console, table: Table) -> None:
    """Print a table whose names are to be copied: lines that are longer than the terminal is wide are not cut."""
    before = console.width
    console.width = max(before, Measurement.get(console, console.options.update(width=WIDEST), table).maximum)
    console.print(table, crop=False)
    console.width = before


def _reasons(found: Mapping[Name, Facts]) -> dict[str, list[str]]:
    """Return the names that each reason against prompts applies to."""
    reasons: dict[str, list[str]] = {}
    for name, one in found.items():
        if one.no_prompts is not None:
            reasons.setdefault(one.no_prompts, []).append(name.name)
    return reasons


def of_presets() -> list[Name]:
    """Return the bundled backbones and those of the presets, each once."""
    used = [
        Name(expert.backbone.kind, expert.backbone.name, expert.backbone.weights)
        for preset in presets()
        for expert in load_settings(preset).experts.values()
    ]
    return list(dict.fromkeys([*bundled_names(), *used]))


def cells(name: Name, found: Facts) -> list[str]:
    """Return a row of the table."""
    return [
        f"{name.name}, weights={name.weights}" if name.weights else name.name,
        name.kind,
        UNKNOWN if found.parameters is None else f"{found.parameters / 1e6:.1f} M",
        UNKNOWN if found.pixels is None else str(found.pixels),
        found.license or UNNAMED,
        "yes" if found.no_prompts is None else "no",
    ]
