"""A workspace on disk becomes settings, catalog and key."""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from syncs import note_syncs

from v6share.schemas.errors import CatalogError, UserError
from v6share.workspace import configured
from v6share.workspace.client_key import read_client_key
from v6share.workspace.paths import Workspace


def test_an_empty_directory_is_a_workspace(tmp_path: Path) -> None:
    found = configured.configure(tmp_path)
    assert found.settings.sampling.unknown == "reject"
    assert found.catalog.apps == ()


def test_flag_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v6share.toml").write_text("[run]\nthreads = 1\n")
    assert configured.configure(tmp_path).settings.run.threads == 1
    monkeypatch.setenv("V6SHARE_RUN__THREADS", "2")
    assert configured.configure(tmp_path).settings.run.threads == 2
    assert configured.configure(tmp_path, {"--threads": 3}).settings.run.threads == 3
    assert configured.configure(tmp_path, {"--threads": None}).settings.run.threads == 2


def test_the_catalog_folder_is_read_and_foreign_files_are_not(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "products.toml").write_text('[[product]]\nid = "cdn"\nname = "CDN"\n')
    (catalog / "README.md").write_bytes(b"\xff\xfe")
    for backup in (".apps.toml.swp", "apps.toml.bak", "apps.toml~", "apps.old"):
        (catalog / backup).write_bytes(b"\xff\xfe")
    assert [p.id for p in configured.configure(tmp_path).catalog.products] == ["cdn"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("apps.tml", "apps.toml"), ("apps.TOML", "apps.toml"), ("prefixes.cvs", "prefixes.csv")],
)
def test_a_slip_in_a_suffix_is_a_mistake(tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / name).touch()
    with pytest.raises(CatalogError, match=rf'^{name}: unknown file; did you mean "{meant}"\?'):
        configured.configure(tmp_path)


def test_a_mistake_in_the_catalog_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "products.toml").write_text('[[product]]\nid = "x"\nnmae = "X"\n')
    with pytest.raises(CatalogError, match=r"products\.toml:3"):
        configured.configure(tmp_path)


def test_the_name_of_a_new_key_is_made_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    synced = note_syncs(monkeypatch, workspace.client_key)
    read_client_key(workspace)
    assert (workspace.client_key.parent.stat().st_ino, True) in synced


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = configured.configure(tmp_path)
    path = Workspace(tmp_path).client_key
    assert len(first.client_key) == 16
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert configured.configure(tmp_path).client_key == first.client_key
    assert first.client_key_id == hashlib.sha256(first.client_key).hexdigest()[:16]
    assert [p.name for p in path.parent.iterdir()] == ["client.key"]


def test_two_workspaces_have_two_keys(tmp_path: Path) -> None:
    keys = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        keys.add(configured.configure(tmp_path / name).client_key)
    assert len(keys) == 2


def test_a_torn_key_is_not_replaced(tmp_path: Path) -> None:
    path = Workspace(tmp_path).client_key
    path.parent.mkdir()
    path.write_bytes(b"short")
    with pytest.raises(UserError, match="found 5 bytes, expected 16"):
        configured.configure(tmp_path)
    assert path.read_bytes() == b"short"


def test_reading_makes_no_key(tmp_path: Path) -> None:
    assert configured.configure_for_reading(tmp_path).client_key == bytes(16)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such directory; `v6share init .*nowhere`"):
        configured.configure(tmp_path / "nowhere")


def test_a_lost_client_key_is_not_replaced(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    key = read_client_key(workspace)
    assert read_client_key(workspace) == key
    workspace.journal.write_text("{}\n")
    workspace.client_key.unlink()
    with pytest.raises(UserError, match="Restore it from a backup"):
        read_client_key(workspace)


def test_a_catalog_that_cannot_be_listed_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted without its catalog, every flow would be unclassified and replace what is right."""
    workspace = Workspace(tmp_path)
    workspace.catalog.mkdir()
    listed = Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self == workspace.catalog:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match="catalog"):
        configured.configure(tmp_path)
