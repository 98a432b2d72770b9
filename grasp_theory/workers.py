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

import torch

_PR_SET_PDEATHSIG = 1
"""Linux's prctl option: the signal that this process gets when the thread that started it ends."""


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of fresh processes of one thread each; the thread that opens it must stay until it is closed.

    An exception inside, Ctrl-C among them, ends the workers at once, whatever they are doing.

    Arguments
        workers: how many processes, at least 1.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), be_a_worker)
    try:
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


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
