"""reconcile reads the published file, and says where that is not all there is."""

from pathlib import Path

import pytest
from calls import call, run

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


def test_it_says_what_the_published_file_lacks_and_where_there_is_none(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    code, out, err = call(capsys, root, "reconcile", flows)
    assert (code, out) == (ExitCode.DONE, "Differences: no rows\n")
    assert "3 of 3 inputs are in the published ledger" in err
    assert "warning" not in err
    Workspace(root).published.rename(root / "published" / "aside")
    for command in (("reconcile", flows), ("kpi",)):
        code, _, err = call(capsys, root, *command)
        assert code is ExitCode.USAGE
        assert "gone, or never made, though something is counted here" in err
        assert "the next `v6share run` publishes it" in err
    (root / "published" / "aside").rename(Workspace(root).published)
    assert call(capsys, root, "forget", "day0.parquet", "--no-publish")[0] is ExitCode.DONE
    code, _, err = call(capsys, root, "reconcile", flows)
    assert code is ExitCode.DONE
    assert "is not in these numbers: it is not published (--no-publish was given)" in err
