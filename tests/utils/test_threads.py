import subprocess
import sys
import threading
import time

import pytest

from lptpp.utils.threads import reading_threads, still_reading

SLOW = """
import sys, time
from lptpp.cli import program
from lptpp.utils.threads import reading_threads

def command():
    with reading_threads() as threads:
        for _ in range(40):
            threads.submit(time.sleep, 60)
        raise KeyboardInterrupt

program.app = lambda **options: command()
program.main()
"""


def test_a_block_that_ends_in_an_error_does_not_wait_for_its_threads():
    release, started = threading.Event(), threading.Event()

    def read() -> None:
        started.set()
        release.wait(60)

    began = time.monotonic()
    with pytest.raises(KeyError), reading_threads() as threads:
        waiting = [threads.submit(read) for _ in range(100)]
        started.wait(60)
        raise KeyError
    assert still_reading(0)
    release.set()
    assert not still_reading(60)
    assert time.monotonic() - began < 30
    assert any(one.cancelled() for one in waiting)


def test_a_block_that_ends_waits_for_its_threads():
    with reading_threads() as threads:
        slow = threads.submit(time.sleep, 0.05)
    assert slow.done()
    assert not still_reading(0)


def test_a_stopped_command_does_not_wait_for_its_threads():
    """The interpreter would: for a large image, or for a file on a disk that does not answer."""
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=50)
    assert done.returncode == 130
    assert done.stderr == "Stopped at once; the last checkpoint, if there is one, is kept.\n"
