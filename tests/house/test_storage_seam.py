"""State is touched through ``workspace`` alone: no other room calls the file system for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from commands import ROOT

# What makes, changes, lists or removes files, by the name of the call.
TOUCHES = {
    "os": {
        *("open", "replace", "rename", "remove", "unlink", "link", "mkdir", "makedirs", "fsync"),
        *("ftruncate", "truncate", "pwrite", "write", "listdir", "scandir", "stat", "access"),
    },
    "shutil": {"copy", "copyfile", "copyfileobj", "copytree", "move", "rmtree"},
    "tempfile": {"mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryDirectory"},
}
# Methods of a path. ``replace`` is a method of text, too, with two arguments.
OF_A_PATH = {
    *("write_bytes", "write_text", "read_bytes", "read_text", "unlink", "rename", "mkdir", "rmdir"),
    *("touch", "hardlink_to", "symlink_to", "glob", "rglob", "iterdir", "open", "stat", "exists"),
    *("is_file", "is_dir"),
}
ROOMS = ("jobs", "pipelines", "render", "schemas", "warehouse")
# What is no state: flow files where they lie, the sample that is written for the user, the cache of
# compiled kernels, files of the package itself, and what a user names on the command line.
NO_STATE = (
    *(
        "pipelines/find.py",
        "pipelines/flow_file.py",
        "pipelines/identity.py",
        "pipelines/landing.py",
        "pipelines/refusals.py",
    ),
    *("pipelines/sample/", "pipelines/warm.py", "pipelines/kernel_cache.py"),
    *("schemas/dialects/__init__.py", "warehouse/database/migrate.py"),
    *("warehouse/database/views.py", "warehouse/checks.py", "warehouse/dimensions.py"),
    "warehouse/evidence.py",
    *("jobs/terminal/", "jobs/cli.py"),
    *(f"jobs/commands/{name}.py" for name in ("init", "sample", "inspect", "explain")),
    *("jobs/steps/one_file.py", "jobs/steps/name_input.py"),
    "jobs/commands/stream.py",
)


def touching(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.func.attr
            of_module = isinstance(owner, ast.Name) and name in TOUCHES.get(owner.id, ())
            of_storage = isinstance(owner, ast.Name) and owner.id == "storage"
            renames = name == "replace" and len(node.args) == 1 and not node.keywords
            if of_module or ((name in OF_A_PATH or renames) and not of_storage):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "open":
            yield f"{file.relative_to(ROOT)}:{node.lineno} open"


def test_nothing_but_the_storage_seam_touches_state() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 100
    found = [
        place
        for file in files
        if not str(file.relative_to(ROOT)).startswith(NO_STATE)
        for place in touching(file)
    ]
    assert found == []
