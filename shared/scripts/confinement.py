"""What a child gives up before it reads a script: files, processes, the network, and most of memory.

On Linux for x86-64 and ARM64 a filter of system calls answers EPERM to all but what computing and two open pipes
need. Elsewhere the limits have to do.
"""

import ctypes
import errno
import platform
import resource
import struct
import sys
import time
from contextlib import suppress
from typing import Final

_HEADROOM_BYTES: Final = 64 * 1024 * 1024

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL: Final = 0x80000000

# What computing and two open pipes need, by its numbers on x86-64 and on ARM64.
_CALLS: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "sched_yield": (24, 124),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# This one too, but of ourselves only: granting processor time goes through it.
_PRLIMIT64: Final = (302, 261)
# The machines' numbers in the kernel's audit.
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# Berkeley packet filter: load a word, jump if equal, return.
_LOAD: Final = 0x20
_JUMP: Final = 0x15
_RETURN: Final = 0x06
_CALL_AT: Final = 0
_MACHINE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16


def confine() -> bool:
    """Give it all up, for the life of the process; whether system calls are filtered."""
    if used := _address_space():
        _limit(resource.RLIMIT_AS, used + _HEADROOM_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 3)
    return filter_system_calls()


def grant_processor_time() -> None:
    """One to two seconds from now on: a backstop for when the parent cannot kill, being stopped itself."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 2, hard))


def _limit(kind: int, most: int) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))


def _address_space() -> int:
    """The bytes of address space in use; zero where /proc does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - one line, before files are given up
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def filter_system_calls() -> bool:
    """Refuse all system calls but those of the table; whether this system can do that."""
    if not sys.platform.startswith("linux") or platform.machine() not in _MACHINES:
        return False
    column, machine = _MACHINES[platform.machine()]
    calls = [numbers[column] for numbers in _CALLS.values()]
    to_allow = len(calls) + 3
    program = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_JUMP, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL_AT),
        *((_JUMP, to_allow - place, 0, call) for place, call in enumerate(calls)),
        (_JUMP, 0, 2, _PRLIMIT64[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_JUMP, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    order = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return not prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), order, ctypes.c_ulong(0), ctypes.c_ulong(0))
