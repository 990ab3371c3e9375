"""The torch state of the caller: its modes, and its number of threads."""

import threading

import pytest
import torch

from fairbinn_sklearn._utils.torch_state import neutral_torch_state, one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_new_thread(function):
    """Return the result of a function that runs in a new Python thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def numbers():
    """Return the number of torch threads here, and in a new Python thread."""
    return torch.get_num_threads(), in_new_thread(torch.get_num_threads)


def test_neutral_state_needs_no_contexts_in_a_neutral_state(monkeypatch):
    monkeypatch.setattr(torch, "autocast", None)
    with neutral_torch_state():
        pass
    with torch.no_grad(), pytest.raises(TypeError), neutral_torch_state():
        pass


@pytest.mark.usefixtures("two_threads")
def test_one_thread_is_the_number_of_this_python_thread_only():
    with one_thread():
        assert numbers() == (1, 2)
    assert numbers() == (2, 2)


@pytest.mark.usefixtures("two_threads")
def test_number_of_threads_is_restored_after_an_error():
    with pytest.raises(RuntimeError, match="stopped"), one_thread():
        raise RuntimeError("stopped")
    assert numbers() == (2, 2)


def test_one_thread_of_the_caller_is_kept():
    assert torch.get_num_threads() == 1
    with one_thread():
        assert numbers() == (1, 1)
    assert numbers() == (1, 1)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_are_restored_in_any_order_of_two_python_threads(first):
    entered, leave = threading.Barrier(3), [threading.Event(), threading.Event()]
    after = [None, None]

    def run(k):
        with one_thread():
            entered.wait()
            leave[k].wait()
        after[k] = torch.get_num_threads()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    entered.wait()
    assert numbers() == (2, 2)
    for k in (first, 1 - first):
        leave[k].set()
        threads[k].join()
        assert numbers() == (2, 2)
    assert after == [2, 2]
