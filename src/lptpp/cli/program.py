"""The program around the commands: its log, and how errors and stops end it."""

import logging
import multiprocessing
import os
import shlex
import signal
import sys
import threading

from rich.logging import RichHandler

from lptpp.cli.commands import app
from lptpp.utils import processes
from lptpp.utils.disk import CannotWrite
from lptpp.utils.errors import Ended, Interrupted, StoppedAtOnce, UserError
from lptpp.utils.failures import failure
from lptpp.utils.progress import console
from lptpp.utils.text import VisibleFormatter, visible
from lptpp.utils.threads import still_reading

STOPPED = 130  # exit status after Ctrl-C and SIGTERM
GRACE = 0.5  # seconds that threads get to finish what they read


def main() -> None:
    """Run the command line; a `UserError` is printed as one sentence, with exit status 2."""
    handler = RichHandler(console=console, show_path=False, show_level=False, markup=False)
    handler.setFormatter(VisibleFormatter("%(message)s", "[%X]"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("lptpp").setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns about the time of its first start
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is computed is kept
    try:
        app(prog_name="lptpp")  # Click would guess `python -m lptpp` in some installations
    except UserError as error:
        leave(2, *error.within("Error").args)
    except Interrupted:
        leave(STOPPED, _stopped())
    except CannotWrite as error:
        leave(1, f"Error: {error}")
    except OSError as error:
        leave(1, f"Error: {error}. Check the disk or the file, then repeat the command.")
    except (MemoryError, RuntimeError) as error:
        sentence = failure(error)
        if sentence is None:
            processes.first_to_report()  # by its traceback
            raise
        leave(1, f"Error: {sentence}")
    except (StoppedAtOnce, KeyboardInterrupt):
        leave(STOPPED, f"Stopped at once; {_kept(sys.argv[1:2])}.")
    except Ended as error:
        leave(
            1,
            f"Another process of this run has ended ({error}). The last checkpoint is kept: repeat the command.",
            wait=processes.HEARD,
        )
    except Exception:
        processes.first_to_report()  # by its traceback
        raise


def leave(status: int, *lines: str, wait: float = 0.0) -> None:
    """End the command with a status; the first of several processes prints its message, after waiting some seconds."""
    if processes.first_to_report(wait):
        print("\n".join(map(visible, lines)), file=sys.stderr, flush=True)
    if status == STOPPED and still_reading(GRACE):
        _leave_threads()
    sys.exit(status)


def _leave_threads() -> None:
    """End a stopped command although threads still read, for which the interpreter would wait; all files are closed."""
    for worker in multiprocessing.active_children():
        worker.kill()
    sys.stdout.flush()
    os._exit(STOPPED)


def _kept(command: list[str]) -> str:
    """Return what a command that is stopped at once leaves."""
    if command == ["export"]:
        return "the run is unchanged, and no part of the export is left"
    return "the last checkpoint, if there is one, is kept"


def _stopped() -> str:
    if processes.count() > 1:
        return "Stopped and saved. To resume, repeat the command, with any number of processes that divides shards."
    return f"Stopped and saved. To resume: {shlex.join(['lptpp', *sys.argv[1:]])}"
