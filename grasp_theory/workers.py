"""Worker processes of one thread that end with their parent, however that ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import torch

_PR_SET_PDEATHSIG = 1
"""Linux's prctl option: the signal that this process gets when the thread that started it ends."""


class _Tie(str):
    """The name of a process that ties it to its parent when it reads it, before it imports anything.

    A spawned process first loads the main module again, which takes seconds; killed in that time, its parent would leave
    it behind.  What it reads before that is its name.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        if sys.platform != "linux":
            return str, (str(self),)
        tie = f"__import__('ctypes').CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGKILL)})"
        # The parent may be gone already, and then there is no signal.
        orphan = f"__import__('os').getppid() != {os.getpid()} and __import__('os')._exit(1)"
        return eval, (f"({tie}, {orphan}, {str(self)!r})[-1]",)


class TiedProcess(SpawnProcess):
    """A spawned process that ends with its parent from its first moment on, on Linux."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.name = _Tie(self.name)


class TiedContext(SpawnContext):
    """What `multiprocessing.get_context("spawn")` gives, with processes that end with their parent."""

    Process = TiedProcess


_HAS_MASKS = hasattr(signal, "pthread_sigmask")


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of fresh processes of one thread each; the thread that opens it must stay until it is closed.

    An exception inside, Ctrl-C among them, ends the workers at once, whatever they are doing.

    Arguments
        workers: how many processes, at least 1.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, TiedContext(), be_a_worker)
    try:
        with interrupts_wait():
            for _ in range(workers):  # a process is started with a task
                pool.submit(os.getpid)
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until the end, and keep it from the processes that are started inside.

    Otherwise it ends a start half-way, and a child that finds half a message, or is itself interrupted while it loads its
    libraries, shows a traceback of its own.  In threads other than the main one nothing has to wait.
    """
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield
        return
    waiting: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    mask = (
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if _HAS_MASKS else None
    )  # inherited by children
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, former)
    if waiting:
        former(waiting[0], None)


def be_a_worker() -> None:
    """Prepare a worker process: one thread, Ctrl-C left to the parent, and no life after it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and ends its workers
    end_with_parent()


def end_with_parent() -> None:
    """End this process, which `multiprocessing` started, once its parent is gone.

    Linux ends it even in the middle of a long call into C; elsewhere a thread watches the parent.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    threading.Thread(target=follow, daemon=True).start()
