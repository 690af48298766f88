"""The machine, versions and commit that are recorded with every table."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent


def stamp(device: torch.device) -> dict[str, Any]:
    """Return machine, versions, commit and date for JSON."""
    return {
        "device": device.type,
        "processor": processor(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("lptpp", "torch", "timm")}
        | {"python": platform.python_version()},
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def stamp_line(stamped: dict[str, Any]) -> str:
    """Return a stamp as one line of text."""
    versions = ", ".join(f"{name} {number}" for name, number in stamped["versions"].items())
    where = f"{stamped['processor']}, {stamped['cores']} cores, {stamped['threads']} threads"
    gpu = f", {stamped['gpu']}" if stamped["gpu"] else ""
    return f"{where}{gpu}; {versions}; commit {stamped['commit']}; {stamped['date']}"


def processor() -> str:
    """Return the name of the processor."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit, with "-dirty" for a changed working tree, or "unknown" outside git."""
    try:
        head, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changes else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
