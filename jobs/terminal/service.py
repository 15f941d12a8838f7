"""A job that runs for days under a supervisor: what it tells systemd, and how it starts anew.

systemd's protocol is one datagram to the socket that NOTIFY_SOCKET names (``man sd_notify``): a
package for it would be longer than the code.
"""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def notify(state: str) -> None:
    """Tell systemd a state, such as ``READY=1`` or ``WATCHDOG=1``; without systemd, nobody."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name without a file: it begins with a zero byte
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.sendto(state.encode(), address)


def memory_bytes() -> int:
    """The memory that this process has of its own and shares; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def start_anew() -> NoReturn:
    """Become a new process of the same number with the same arguments.

    Locks and files that are open go with the old one: close them before. A signal that comes in
    between waits for the new one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: nothing is imported from the folder that it was called in.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "v6share", *sys.argv[1:]])  # noqa: S606 - ourselves
