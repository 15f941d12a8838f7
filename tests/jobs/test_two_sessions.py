"""Two runs over two workspaces in one process, at one time, which do not know of each other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import differing, fragments, make_workspace, tables

from v6share.jobs.commands import run
from v6share.jobs.steps.begin import Request
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation

APP = '[[app]]\nid = "{0}"\nname = "{0}"\nmatch = [{{ port = 443 }}]\n'


def workspace(root: Path, app: str) -> Path:
    """A workspace in which the service is called ``app``."""
    make_workspace(root)
    (root / "catalog").mkdir()
    (root / "catalog" / "apps.toml").write_text(APP.format(app))
    return root


def test_two_runs_at_once_in_one_process(tmp_path: Path) -> None:
    """The same files by two catalogs: each run counts as it does alone, plan, key and meter its
    own. What one began early must not serve the other: both begin with the same inputs.
    """
    flows = tmp_path / "flows"
    for day in range(6):
        write_flows(flows / f"{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS, rows=500)
    names = ("mail", "video")
    alone = {name: workspace(tmp_path / "alone" / name, name) for name in names}
    beside = {name: workspace(tmp_path / "beside" / name, name) for name in names}
    together = Barrier(len(names))

    def count(root: Path, *, wait: bool) -> ExitCode:
        if wait:
            together.wait(60)
        return run.main(Invocation(root=root), Request((str(flows),)), strict=False)

    for root in alone.values():
        assert count(root, wait=False) is ExitCode.DONE
    with ThreadPoolExecutor(len(names)) as threads:
        codes = list(threads.map(lambda root: count(root, wait=True), beside.values()))
    assert codes == [ExitCode.DONE] * len(names)
    for name in names:
        assert fragments(beside[name]) == fragments(alone[name])
        assert not differing(tables(beside[name]), tables(alone[name]))
        apps = tables(beside[name])["traffic_1d"]["app"].unique().to_pylist()
        assert apps == [name]
