"""One promise a file; `PROMISES` has them in the order of the table."""

from benchmarks.reliability.promises import clocks, kills, signals, starts, workers

PROMISES = {module.__name__.rpartition(".")[2]: module.PROMISE for module in (kills, signals, clocks, workers, starts)}
