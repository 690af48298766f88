"""What a table of measurements is stamped with, and the peak memory of a piece of work."""

import gc
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parent.parent
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own chatter, on machines without a GPU
PEAK_MEMORY = {
    "cpu": "the sum of all live tensors that the run itself allocated (torch.profiler), without the libraries' scratch",
    "cuda": "torch.cuda.max_memory_allocated less what was allocated before the run",
}


def stamp(device: torch.device) -> dict[str, Any]:
    """Return the machine, the versions, the commit and the date, as JSON knows them."""
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
    """Return a stamp as one line for people."""
    versions = ", ".join(f"{name} {number}" for name, number in stamped["versions"].items())
    where = f"{stamped['processor']}, {stamped['cores']} cores, {stamped['threads']} threads"
    gpu = f", {stamped['gpu']}" if stamped["gpu"] else ""
    return f"{where}{gpu}; {versions}; commit {stamped['commit']}; {stamped['date']}"


def processor() -> str:
    """Return the name of the processor, as exactly as the system tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit that this file lies in, "-dirty" where something differs from it, "unknown" outside git."""
    try:
        head, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changes else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Return the bytes that one run needs at its peak beyond what was there before (see `PEAK_MEMORY`)."""
    gc.collect()  # what is garbage before the run is not given back during it
    return _peak_on_gpu(run, device) if device.type == "cuda" else _peak_on_cpu(run)


def _peak_on_gpu(run: Callable[[], object], device: torch.device) -> int:
    synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _peak_on_cpu(run: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    assert profiled.profiler is not None and profiled.profiler.kineto_results is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()  # negative where memory is given back
        peak = max(peak, allocated)
    return peak
