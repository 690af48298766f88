"""One promise a file; `PROMISES` has them in the order of the table."""

from benchmarks.reliability.promises import (
    archives,
    backbones,
    bad_images,
    bit_flips,
    bombs,
    changed_images,
    clocks,
    full_disk,
    hostile_runs,
    kills,
    memory_use,
    no_memory,
    read_only,
    signals,
    starts,
    stops,
    web_page,
    workers,
)

ORDER = (
    kills,
    signals,
    stops,
    clocks,
    workers,
    no_memory,
    full_disk,
    read_only,
    starts,
    changed_images,
    bit_flips,
    bad_images,
    bombs,
    archives,
    hostile_runs,
    backbones,
    memory_use,
    web_page,
)
PROMISES = {module.__name__.rpartition(".")[2]: module.PROMISE for module in ORDER}
