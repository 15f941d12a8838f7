"""What all tests share."""

from hypothesis import settings

# Machines are shared and the first call of a kernel compiles it: time proves nothing here. The
# examples are the same every time; a failure must be one for everybody.
settings.register_profile("v6share", deadline=None, derandomize=True)
settings.load_profile("v6share")
