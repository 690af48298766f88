import pytest
import torch

from lptpp.utils.failures import failure


def of_torch() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        of_torch(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines"),
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=lambda error: str(error)[:20],
)
def test_a_lack_of_memory_is_one_sentence(error: Exception) -> None:
    sentence = failure(error)
    assert sentence is not None
    assert sentence.startswith("Memory ran out") and "repeat the command" in sentence and "\n" not in sentence


def test_on_a_gpu_it_says_what_takes_less_of_its_memory() -> None:
    sentence = failure(
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 1.")
    )
    assert sentence is not None
    assert "phase2.gradient_checkpointing=true" in sentence and "workers" not in sentence


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
        RuntimeError("Pin memory thread exited unexpectedly"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
    ids=lambda error: str(error)[-20:],
)
def test_a_killed_worker_is_one_sentence(error: Exception) -> None:
    sentence = failure(error)
    assert sentence is not None
    assert sentence.startswith("A loader worker was killed (") and "fewer workers" in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("Caught RuntimeError in DataLoader worker process 0."),
        ConnectionResetError("Caught ConnectionResetError in DataLoader worker process 0."),
        ValueError("out of memory"),
    ],
    ids=str,
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    assert failure(error) is None
