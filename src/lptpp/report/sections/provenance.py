"""Provenance: data, model, settings, versions."""

from collections.abc import Mapping

from lptpp.config import to_yaml
from lptpp.evaluation.parameters import frozen_parameters, trainable_share
from lptpp.evaluation.table import thousands
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Cell, Preformatted, Section, Table, number


def section(run: EvaluatedRun) -> Section:
    """Return the section on settings and versions."""
    versions = run.versions or {"versions": "unknown, the run folder contains no checkpoint"}
    tables = [_table("Run", facts(run)), parameters(run), _table("Versions used for training", versions)]
    return Section(
        "Settings and versions", [*tables, Preformatted("All settings (config.yaml)", to_yaml(run.settings))]
    )


def facts(run: EvaluatedRun) -> dict[str, str]:
    """Return the key facts of a run by name."""
    of, data = run.metrics, run.settings.data
    place = run.place.removeprefix("the ")
    share = trainable_share(of)
    of_frozen = f" ({share} of the frozen parameters)" if share else ""
    return {
        "Folder": str(run.files),
        "Method": of["method"],
        "Data": f"{data.source}{f', {data.root}' if data.root else ''}",
        "Images": f"{of['training_images']:,} for training, {of['images']:,} evaluated ({place})",
        "Evaluated": f"{run.evaluated:%Y-%m-%d %H:%M}",
        **{f"Backbone, {name}": f"{one['name']} ({one['fingerprint'][:12]}…)" for name, one in of["backbones"].items()},
        "Frozen parameters": f"{frozen_parameters(of):,}",
        "Trainable parameters": f"{of['tuned_parameters']:,}{of_frozen}",
    }


def parameters(run: EvaluatedRun) -> Table:
    """Return the trainable parameters: a row for each part, a column for each expert and the scorer."""
    owners = run.metrics["tuned_parts"]
    parts = dict.fromkeys(part for of in owners.values() for part in of)
    rows = [[Cell(part), *(number(thousands(of.get(part))) for of in owners.values())] for part in parts]
    return Table("Trainable parameters", ["", *owners], rows)


def _table(title: str, content: Mapping[str, str]) -> Table:
    return Table(title, [], [[Cell(key), Cell(value)] for key, value in content.items()])
