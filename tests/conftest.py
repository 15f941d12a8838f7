"""What all tests share."""

import signal

from hypothesis import settings

# Machines are shared and the first call of a kernel compiles it: time proves nothing here. The
# examples are the same every time; a failure must be one for everybody.
settings.register_profile("v6share", deadline=None, derandomize=True)
settings.load_profile("v6share")

# A shell has its background jobs ignore Ctrl-C, and a process hands on what it ignores: without
# this the runs that a test interrupts would rightly go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
