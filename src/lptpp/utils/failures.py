"""Failures of the machine that libraries report in their own words: no memory, a killed loader worker."""

import re

NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|out of memory|not enough memory|bad_alloc|can't start new thread"
    r"|could not create a primitive",  # of oneDNN
    re.IGNORECASE,
)
ON_GPU = "set phase1.gradient_checkpointing=true and phase2.gradient_checkpointing=true, or lower evaluation.batch_size"
KILLED = r"^(DataLoader worker .*|Pin memory thread )(exited unexpectedly|is killed by signal)"


def failure(error: BaseException) -> str | None:
    """Return a sentence about a failure of the machine; None for any other error."""
    lines = str(error).splitlines() or [""]
    if worker_was_killed(error):
        return (
            f"A loader worker was killed ({lines[0].rstrip('. ') or 'its connection was closed'}), often because"
            " memory ran out: repeat the command to resume, with fewer workers or a lower data.memory_gb."
        )
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))):
        reason = f" ({lines[0].rstrip('. ')[:200]})" if lines[0] else ""
        advice = ON_GPU if reason.startswith(" (CUDA") else "lower workers, data.memory_gb or evaluation.batch_size"
        return (
            f"Memory ran out{reason}: {advice}, then repeat the command to resume. A smaller batch_size of a phase"
            " needs a new run folder."
        )
    return None


def worker_was_killed(error: BaseException) -> bool:
    """Return whether a worker ended without an error of its own; torch may report it in the middle of other code."""
    text = str(error)
    if isinstance(error, ConnectionError | EOFError):  # of the sockets between the processes
        return not text.startswith("Caught ")
    return isinstance(error, RuntimeError) and re.search(KILLED, text) is not None
