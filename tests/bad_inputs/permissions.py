"""The administrator's right to read everything, given up for a while: tests often run as root."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Linux's numbers, see capabilities(7) and capset(2): override of permission bits, for everything and for reading.
OVERRIDES = (1, 2)
VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def permissions_matter() -> Iterator[None]:
    """Permission bits bind this thread, whoever runs it; skips the test where that cannot be had."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("runs as root")
    system = ctypes.CDLL(None, use_errno=True)
    header, before = _Header(VERSION_3, 0), (_Sets * 2)()
    _checked(system.capget(ctypes.byref(header), before))
    reduced = (_Sets * 2)(before[0], before[1])
    for number in OVERRIDES:
        reduced[0].effective &= ~(1 << number)
    _checked(system.capset(ctypes.byref(header), reduced))
    try:
        yield
    finally:
        _checked(system.capset(ctypes.byref(header), before))


def _checked(result: int) -> None:
    if result != 0:
        pytest.skip(f"runs as root and cannot change that: {os.strerror(ctypes.get_errno())}")
