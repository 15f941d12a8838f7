"""Where the public captures and the damaged files are: beside the repository, or named."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("V6SHARE_SHARED") or Path(__file__).parents[3] / "shared")
CAPTURES = SHARED / "captures"
# They are old exports that were played to collectors again, years later.
PLAYED_AGAIN = "[time]\nstale_days = 36500\n"
CORPORA = SHARED / "corpora"

needs_captures = pytest.mark.skipif(
    not (CAPTURES / "MANIFEST.json").exists(),
    reason=f"no captures in {CAPTURES}; set V6SHARE_SHARED to the folder that holds captures/",
)
needs_corpora = pytest.mark.skipif(
    not CORPORA.exists(),
    reason=f"no damaged files in {CORPORA}; set V6SHARE_SHARED to the folder that holds corpora/",
)
