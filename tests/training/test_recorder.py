import multiprocessing
import os
import signal
import threading
from types import SimpleNamespace

import pytest

from lptpp.training.recorder import BELOW_ZERO, Pace, remark, stopping_softly
from lptpp.utils.errors import Interrupted
from lptpp.utils.stopping import waiting_for_step


def test_a_negative_loss_is_explained_once():
    history = [{"loss": loss} for loss in (0.5, -0.1, -0.2, 0.3, -0.4)]
    assert [remark(history[:n]) for n in range(1, 6)] == ["", BELOW_ZERO, "", "", ""]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops_at_once(number):
    recorder = SimpleNamespace(stop_asked=False)
    before = signal.getsignal(number)
    with stopping_softly(recorder), waiting_for_step():
        os.kill(os.getpid(), number)
        assert recorder.stop_asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_there_is_no_step_to_finish_the_first_signal_stops_at_once(number):
    """Such as a linear probe, which takes minutes, or images that are decoded before an epoch."""
    with pytest.raises(Interrupted), stopping_softly(SimpleNamespace(stop_asked=False)):
        os.kill(os.getpid(), number)
        raise AssertionError("it goes on")
    with pytest.raises(Interrupted), stopping_softly(SimpleNamespace(stop_asked=False)), waiting_for_step():
        with waiting_for_step(False):
            os.kill(os.getpid(), number)
        raise AssertionError("it goes on")


def test_the_workers_of_a_loader_say_nothing():
    """They inherit the handler, and a terminal's Ctrl-C reaches them too."""
    recorder = SimpleNamespace(stop_asked=False)

    def worker() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os._exit(recorder.stop_asked)

    with stopping_softly(recorder):
        process = multiprocessing.get_context("fork").Process(target=worker)
        process.start()
        process.join()
    assert process.exitcode == 0


def test_off_the_main_thread_signals_stay_as_they_are():
    found = []

    def enter() -> None:
        with stopping_softly(SimpleNamespace(stop_asked=False)):
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]


@pytest.mark.parametrize(
    ("first", "seconds", "done", "told"),
    [(0, 22.6, 10, "4m9s"), (40, 22.6, 50, "2m38s"), (0, 59.4, 60, ""), (0, 0.0, 120, ""), (0, 7200.0, 60, "2h")],
)
def test_an_epoch_tells_how_long_the_remaining_steps_take(first, seconds, done, told):
    ticks = iter([100.0, 100.0 + seconds])
    pace = Pace(120, first, lambda: next(ticks))
    assert pace.left(done) == (f", about {told} left in this phase" if told else "")
