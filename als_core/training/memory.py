"""Keeping freed memory in the process, for processes that train."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory() -> bool:
    """Have this process keep the memory it frees; whether that was possible (Linux with glibc).

    glibc gives a freed tensor above 32 MB back to the system and fetches the next page by page, which is up to
    half of the time of training on a CPU. Call it before the first large tensor, in a process whose work it is
    to train: what was the most in use at once stays in use to the end. No number changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))  # -1: never
