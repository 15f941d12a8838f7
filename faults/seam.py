"""The system calls by which a command reads and changes files, each decided on from outside.

Every file of a workspace, whether Python, DuckDB or Arrow writes it, is changed by a few system
calls. A process may ask Linux to hold these calls and to tell another process of each (``man
seccomp_unotify``). That one looks at the call and lets it go on, gives it an error, or kills the
process. So every step whose half-done state matters has a name, such as ``fsync journal`` or
``rename published``, and can be stopped at; what is tested holds no code for it.

Decided against: wrapping Python's functions, which misses what DuckDB does to its own files; a
library that is preloaded, which needs a compiler.

Works on Linux for x86-64 (the numbers of the calls are those of that processor).
"""

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

# Where a call has its file: a descriptor in this argument, or a path in this argument, with the
# descriptor of the folder that it is relative to in the one before.
_DESCRIPTOR: Final = {
    "write": (1, 0),
    "pwrite64": (18, 0),
    "writev": (20, 0),
    "sendfile": (40, 0),
    "fsync": (74, 0),
    "fdatasync": (75, 0),
    "ftruncate": (77, 0),
    "fchmod": (91, 0),
    "fallocate": (285, 0),
    "pwritev": (296, 0),
    "copy_file_range": (326, 2),
}
_PATH: Final = {
    "open": (2, 0),
    "rename": (82, 1),
    "mkdir": (83, 0),
    "rmdir": (84, 0),
    "creat": (85, 0),
    "link": (86, 1),
    "unlink": (87, 0),
    "chmod": (90, 0),
}
_PATH_IN_FOLDER: Final = {
    "openat": (257, 1),
    "mkdirat": (258, 1),
    "unlinkat": (263, 1),
    "renameat": (264, 3),
    "linkat": (265, 3),
    "fchmodat": (268, 1),
    "renameat2": (316, 3),
}
_READS: Final = {
    "read": (0, 0),
    "pread64": (17, 0),
    "readv": (19, 0),
    "getdents64": (217, 0),
    "preadv": (295, 0),
}
CHANGES: Final = frozenset(_DESCRIPTOR | _PATH | _PATH_IN_FOLDER)
READS: Final = frozenset({*_READS, "open", "openat"})

_WITH_DESCRIPTOR: Final = _DESCRIPTOR | _READS
_NUMBERS: Final = {n: v[0] for n, v in (_WITH_DESCRIPTOR | _PATH | _PATH_IN_FOLDER).items()}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}

_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP: Final = 317
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
# id, process, flags; number of the call, architecture, place in the program, six arguments.
_NOTICE: Final = struct.Struct("=QIIiIQ6Q")
# id, value, error, flags.
_ANSWER: Final = struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_GO_ON: Final = 1
_LONGEST_PATH: Final = 4096
_AT_FDCWD: Final = -100

Decision = Literal["go on", "kill", "tear"] | int


class Call(NamedTuple):
    """A system call that is about to be done. path: of the file that it is about."""

    name: str
    path: str
    creates: bool

    @property
    def changes(self) -> bool:
        """Whether it changes a file or a folder; to open one is no change unless it makes it."""
        return self.creates if self.name in ("open", "openat") else self.name in CHANGES


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.POINTER(_Instruction)))


def why_unsupported() -> str:
    """Why calls cannot be held on this machine; empty where they can. Tried in a child."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"no table of system calls for {platform.system()} on {platform.machine()}"
    child = os.fork()
    if not child:
        try:
            _hold(["fsync"])
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return "this system does not let a process hold its system calls (seccomp)" if status else ""


def hold_calls(names: Iterable[str], to: socket.socket) -> None:
    """Have these calls of this process, and of all that it starts, held for whoever is at ``to``.

    Call it in a process with a single thread. What is held goes on only with ``Supervisor``.
    """
    listener = _hold(names)
    socket.send_fds(to, [b"."], [listener])
    os.close(listener)


def _hold(names: Iterable[str]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = sorted(_NUMBERS[name] for name in names)
    code = [_Instruction(_LOAD, 0, 0, 0)]
    for at, number in enumerate(numbers):
        code.append(_Instruction(_JUMP_IF_EQUAL, len(numbers) - at, 0, number))
    code += [_Instruction(_RETURN, 0, 0, _ALLOW), _Instruction(_RETURN, 0, 0, _ASK)]
    program = _Program(len(code), (_Instruction * len(code))(*code))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(listener)


class Supervisor:
    """Decides about each held call of one process and of those that it starts."""

    def __init__(self, process: int, come_from: socket.socket) -> None:
        """Take over the calls that ``hold_calls`` holds. process: is killed, with its group."""
        _, (self._listener, *_), _, _ = socket.recv_fds(come_from, 1, 1)
        self._process = process
        self._ended = os.pidfd_open(process)
        self._memory: dict[int, int] = {}

    def serve(self, decide: Callable[[Call], Decision], seconds: float) -> bool:
        """Ask ``decide`` about each call until the process ends; False where time is up before."""
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        waiting.register(self._ended, select.POLLIN)
        until = time.monotonic() + seconds
        try:
            while (left := until - time.monotonic()) > 0:
                ready = dict(waiting.poll(left * 1000))
                if ready.get(self._listener, 0) & select.POLLIN:
                    self._answer(decide)
                elif ready:
                    return True
            return False
        finally:
            for descriptor in (self._listener, self._ended, *self._memory.values()):
                os.close(descriptor)

    def _answer(self, decide: Callable[[Call], Decision]) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice, True)
            held, process, _, number, _, _, *arguments = _NOTICE.unpack(notice)
            decision = decide(self._call(_NAMES[number], process, arguments))
        except OSError:
            return  # the process, or the thread, has ended meanwhile
        if decision in ("kill", "tear"):
            if decision == "tear":
                self._write_half(_NAMES[number], process, arguments)
            with suppress(ProcessLookupError):
                os.killpg(self._process, signal.SIGKILL)
            return
        error = decision if isinstance(decision, int) else 0
        answer = _ANSWER.pack(held, 0, -error, 0 if error else _GO_ON)
        with suppress(OSError):  # as above
            fcntl.ioctl(self._listener, _SEND, bytearray(answer), True)

    def _call(self, name: str, process: int, arguments: list[int]) -> Call:
        if name in _WITH_DESCRIPTOR:
            place = arguments[_WITH_DESCRIPTOR[name][1]]
            return Call(name, str(Path(f"/proc/{process}/fd/{place}").readlink()), creates=False)
        at = (_PATH | _PATH_IN_FOLDER)[name][1]
        path = self._text(process, arguments[at])
        if name in _PATH_IN_FOLDER and not path.startswith("/"):
            folder = ctypes.c_int(arguments[at - 1]).value
            link = "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
            path = f"{Path(f'/proc/{process}/{link}').readlink()}/{path}"
        flags = arguments[at + 1] if name in ("open", "openat") else 0
        return Call(name, path, creates=bool(flags & (os.O_CREAT | os.O_TRUNC)))

    def _text(self, process: int, address: int) -> str:
        whole = b""
        while b"\0" not in whole and len(whole) < _LONGEST_PATH:
            # No further than to the end of a page: the next one may not be there.
            to_end = 4096 - (address + len(whole)) % 4096
            whole += os.pread(self._memory_of(process), to_end, address + len(whole))
        return os.fsdecode(whole.partition(b"\0")[0])

    def _memory_of(self, process: int) -> int:
        if process not in self._memory:
            self._memory[process] = os.open(f"/proc/{process}/mem", os.O_RDONLY)
        return self._memory[process]

    def _write_half(self, name: str, process: int, arguments: list[int]) -> None:
        """Do the first half of a write, as a crash of the machine may leave it."""
        descriptor, address, size, offset, *_ = arguments
        data = os.pread(self._memory_of(process), size // 2, address)
        if name == "write":
            about = Path(f"/proc/{process}/fdinfo/{descriptor}").read_text()
            offset = int(about.partition("pos:")[2].split()[0])
        with Path(f"/proc/{process}/fd/{descriptor}").open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), data, offset)


_OF_DRAFT: Final = re.compile(r"^\.(?P<of>.+)\.[0-9a-f]{16}\.draft(?P<log>\.wal.*)?$")
_FILES: Final = {
    "warehouse.duckdb": "warehouse",
    "journal.jsonl": "journal",
    "client.key": "key",
    "v6share.duckdb": "published file",
    ".standby.duckdb": "standby",
    "held_back.txt": "reason beside the published file",
    "stream.json": "state of the stream",
    "lock": "lock",
    "wanted": "lock",
    "stream.lock": "lock",
}


def part_of(path: str, root: Path) -> str:
    """What a file is to its workspace; empty where it stands elsewhere."""
    path = path.removesuffix(" (deleted)")
    if path != str(root) and not path.startswith(f"{root}/"):
        return ""
    folders, name = Path(path).relative_to(root).parts[:-1], Path(path).name
    draft = _OF_DRAFT.match(name)
    if draft:
        log = "log of the " if draft["log"] else ""
        # A new warehouse is itself begun as a draft of a draft.
        inner = _OF_DRAFT.match(draft["of"])
        return f"{log}draft of the {_file(inner['of'] if inner else draft['of'], folders)}"
    if name.startswith("warehouse.duckdb.wal"):
        return "log of the warehouse"
    return _file(name, folders)


def _file(name: str, folders: tuple[str, ...]) -> str:
    if name in _FILES:
        return _FILES[name]
    inner = folders[1] if len(folders) > 1 else ""
    of_folder = {
        "quarantine": "note of a refusal",
        "outcomes": "outcomes",
        "tmp": "spill",
        "bases": "base",
    }
    if inner in of_folder:
        return of_folder[inner]
    if name.endswith(".parquet"):
        return "recounted fragment" if inner == "recounted" else "fragment"
    return "folder" if "." not in name else "other file"


NO_ROOM: Final = errno.ENOSPC
FAILING: Final = errno.EIO
READ_ONLY: Final = errno.EROFS
