"""The list of `lptpp backbones`."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lptpp.backbones.catalog import Facts, Name, bundled_names, facts, matching
from lptpp.config import load_settings
from lptpp.config.resolve import presets
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

UNKNOWN = "–"


def show_backbones(console: Console, pattern: str | None) -> None:
    """Print the backbones that match a pattern; without one, those of the package and of its presets.

    Raises:
        UserError: no name matches.
    """
    names = of_presets() if pattern is None else matching(pattern)
    if not names:
        raise UserError(f"No backbone has {pattern} in its name; `lptpp backbones '*'` lists all.")
    with progress_bar("Backbones", len(names)) as bar:
        rows = []
        for name in names:
            rows.append(cells(name, facts(name)))
            bar.advance(note=name.name)
    table = Table("Name", "Weights", "Kind", "Parameters", "Pixels", "License", "Prompts", box=None)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=True)


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
        name.name,
        name.weights or "",
        name.kind,
        UNKNOWN if found.parameters is None else f"{found.parameters / 1e6:.1f} M",
        UNKNOWN if found.pixels is None else str(found.pixels),
        found.license or UNKNOWN,
        "yes" if found.no_prompts is None else f"no: {found.no_prompts}",
    ]
