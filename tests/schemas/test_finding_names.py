"""The names of findings: explained in the docs, and the same in the view that looks for them."""

import re
from pathlib import Path

from v6share.schemas.findings import DOUBTFUL, FINDING_MEANINGS, TOLD_BY_RUN

ROOT = Path(__file__).parents[2]


def test_the_docs_explain_every_finding() -> None:
    page = (ROOT / "docs" / "findings.md").read_text()
    named = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|([^|]*)\|", page, re.M))))
    own = {name for name in FINDING_MEANINGS if not name.startswith("rejected: ")}
    assert named - {"finding"} == own | {"rejected: REASON"}


def test_the_view_marks_the_doubtful_ones() -> None:
    view = (ROOT / "sql" / "views" / "findings.sql").read_text()
    (listed,) = re.findall(r"f\.finding IN \(([^)]*)\) AS doubtful", view)
    assert set(re.findall(r"'([^']*)'", listed)) == set(DOUBTFUL)
    assert set(TOLD_BY_RUN) <= set(FINDING_MEANINGS)
