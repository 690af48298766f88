"""Where the numbers come from: data, model, settings, versions."""

from collections.abc import Mapping

from lptpp.config import to_yaml
from lptpp.evaluation.table import thousands
from lptpp.report.gather import Run
from lptpp.report.section import Cell, Listing, Section, Table, number
from lptpp.report.text import percent


def section(run: Run) -> Section:
    """Return the part on settings and versions."""
    versions = run.versions or {"versions": "not known: the run folder holds no checkpoint"}
    tables = [_pairs("The run", facts(run)), tuned(run), _pairs("Versions that trained it", versions)]
    return Section("Settings and versions", [*tables, Listing("All settings: config.yaml", to_yaml(run.settings))])


def facts(run: Run) -> dict[str, str]:
    """Return what a reader wants to know of a run."""
    of, data = run.metrics, run.settings.data
    return {
        "Folder": str(run.folder),
        "Method": of["method"],
        "Data": f"{data.source}{f', {data.root}' if data.root else ''}",
        "Images": f"{of['training_images']:,} to train on, {of['images']:,} evaluated ({of['split']} part)",
        "Evaluated": f"{run.evaluated:%Y-%m-%d %H:%M}",
        **{f"Backbone, {name}": f"{one['name']} ({one['fingerprint'][:12]}…)" for name, one in of["backbones"].items()},
        "Frozen": f"{of['backbone_parameters']:,} parameters",
        "Tuned": f"{of['tuned_parameters']:,} parameters, {percent(of['tuned_share_percent'], 1)} of the frozen ones",
    }


def tuned(run: Run) -> Table:
    """Return the tuned parameters: a row for each part, a column for each expert and the scorer."""
    owners = run.metrics["tuned_parts"]
    parts = dict.fromkeys(part for of in owners.values() for part in of)
    rows = [[Cell(part), *(number(thousands(of.get(part))) for of in owners.values())] for part in parts]
    return Table("Tuned parameters", ["", *owners], rows)


def _pairs(title: str, content: Mapping[str, str]) -> Table:
    return Table(title, [], [[Cell(key), Cell(value)] for key, value in content.items()])
