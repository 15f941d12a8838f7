"""What all tests share."""

import os
import signal

from hypothesis import settings

# Machines are shared and the first call of a kernel compiles it: time proves nothing here. The
# examples are the same every time; a failure must be one for everybody.
settings.register_profile("v6share", deadline=None, derandomize=True)
settings.load_profile("v6share")

# To load Great Expectations takes every command four seconds. The tests that are about the gate
# turn it on; in all others nothing is judged but the invariants.
os.environ.setdefault("V6SHARE_QUALITY__GATE", "false")

# A shell has its background jobs ignore Ctrl-C, and a process hands on what it ignores: without
# this the runs that a test interrupts would rightly go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
