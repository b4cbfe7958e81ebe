"""Keeping freed memory in the process, in huge pages where there are any, for processes that train."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory(huge_pages: bool = True) -> bool:
    """Have this process keep the memory it frees; whether that was possible (Linux with glibc).

    glibc gives a freed tensor above 32 MB back to the system and fetches the next page by page, which is up to
    half of the time of training on a CPU. Call it before the first large tensor, in a process whose work it is
    to train: what was the most in use at once stays in use to the end. No number changes.

    huge_pages: where the kernel leaves that choice to the process (`madvise`), have what is kept lie in huge pages;
    walking through large maps is then faster by some per cent.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    kept = libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, -1)  # -1: never
    if kept and huge_pages:
        _in_huge_pages(libc)
    return bool(kept)


def _in_huge_pages(libc: ctypes.CDLL) -> None:
    """Ask for huge pages for the heap's next half of the machine's memory: addresses only, nothing is taken yet.

    Where the system refuses the addresses, as under a limit on virtual memory, pages stay as they are.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if start := libc.malloc(size):
        skipped = -start % mmap.PAGESIZE
        libc.madvise(start + skipped, size - skipped - mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
        libc.free(start)
