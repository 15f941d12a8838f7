"""``v6share init``: a commented starter workspace."""

from importlib.resources import files
from pathlib import Path
from shlex import quote

import pyarrow as pa

from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.quality.suites import default_suites
from v6share.render.text import SeveralForm
from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.errors import UserError
from v6share.schemas.settings import SETTINGS_FILE
from v6share.workspace import storage
from v6share.workspace.find import refuse_odd_name
from v6share.workspace.paths import Workspace


def main(invocation: Invocation, directory: Path | None, *, form: SeveralForm) -> ExitCode:
    """Add the starter files that are missing, list them, and say what to do next."""
    workspace = Workspace(invocation.root / (directory or Path()))
    refuse_odd_name(workspace.root)
    if workspace.root.exists() and not workspace.root.is_dir():
        raise UserError(f"{workspace.root}: exists and is not a directory; give another name")
    targets = _targets(workspace)
    written = {name: _add(name, target) for name, target in targets.items()}
    if stdout.is_wanted(form):
        stdout.write_tables({"files": _listed(targets, written)}, form)
    if not any(written.values()):
        messages.say(f"{workspace.root}: everything is there already; nothing was changed")
    messages.say(_next_steps(workspace))
    return ExitCode.DONE


def _listed(targets: dict[str, Path], written: dict[str, bool]) -> pa.Table:
    return pa.table(
        {
            "path": [str(path) for path in targets.values()],
            "written": list(written.values()),
        }
    )


def _targets(workspace: Workspace) -> dict[str, Path]:
    return {
        SETTINGS_FILE: workspace.settings,
        **{name: workspace.catalog / name for name in CATALOG_FILES},
        **{name: workspace.quality / name for name in default_suites()},
    }


def _starter(name: str) -> bytes:
    suite = default_suites().get(name)
    return suite or (files("v6share.jobs") / "starter" / name).read_bytes()


def _add(name: str, target: Path) -> bool:
    """Write one starter file unless something has its name; whether it was written."""
    return storage.create(target, _starter(name))


def _next_steps(workspace: Workspace) -> str:
    place = "" if workspace.root == Path() else f" -C {quote(str(workspace.root))}"
    return f"""Next:
  1. Say who is who in {workspace.catalog}/: apps.toml and prefixes.csv first. Comments explain.
  2. v6share inspect FILE             what a flow file of yours holds
  3. v6share{place} run FLOW_FILES...   count it
  4. v6share{place} kpi                 read the KPIs
No flow files at hand? `v6share sample DIR` makes some, with the catalog that fits."""
