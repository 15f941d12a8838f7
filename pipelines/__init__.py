"""Flow files to fragments: sources, pure kernels, and the Beam pipeline that joins them."""

import os

import platformdirs

# Machine code is compiled once and kept. Beside the sources it may not be writable (a read-only
# install), so it is kept in the user's cache; numba reads the variable when it is imported.
os.environ.setdefault("NUMBA_CACHE_DIR", platformdirs.user_cache_dir("v6share"))
