"""``v6share stream --from-outcomes``: the committer beside a pipeline on another runner."""

import shutil
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as MadePipeline
from flow_sets import Made, count
from workspaces import differing, fragments, journal, tables, v6share

from v6share.pipelines.beam_pipeline import build
from v6share.pipelines.engines.follow import follow_work
from v6share.pipelines.find import find_inputs
from v6share.pipelines.outcome_files import read_outcome_files
from v6share.pipelines.work import Work
from v6share.workspace.configured import configure


@pytest.fixture
def work(made: Made, fresh: Path) -> Work:
    """Everything is counted by a pipeline, in two bundles or more, and nothing is committed."""
    work = follow_work(configure(fresh))
    found = find_inputs([str(made.flows)]).inputs
    for part in (found[:3], found[3:], found[:1]):
        with MadePipeline() as pipeline:
            build(pipeline, beam.Create(part), work)
    assert len(read_outcome_files(work.outcomes).whole) >= 3
    return work


def sweep(root: Path, folder: Path) -> tuple[int, str]:
    code, _, err = v6share(root, "stream", "--from-outcomes", folder, "--once")
    return code, err


def test_what_a_pipeline_counted_is_committed_and_its_files_are_removed(
    made: Made, fresh: Path, work: Work
) -> None:
    before = fragments(fresh)
    code, err = sweep(fresh, work.outcomes)
    assert code == 0, err
    assert read_outcome_files(work.outcomes) == ((), ())
    assert differing(tables(fresh), tables(made.root)) == []
    assert fragments(fresh) == before
    # A sweep over the flow files finds nothing that the pipeline overlooked.
    assert count(fresh, made.flows) == 0


def test_outcomes_that_come_again_change_nothing(made: Made, fresh: Path, work: Work) -> None:
    """The committer was killed before it removed what it had recorded."""
    kept = fresh.parent / "kept"
    shutil.copytree(work.outcomes, kept)
    assert sweep(fresh, work.outcomes)[0] == 0
    shutil.copytree(kept, work.outcomes, dirs_exist_ok=True)
    assert sweep(fresh, work.outcomes)[0] == 0
    assert differing(tables(fresh), tables(made.root)) == []
    commits = [entry for entry in journal(fresh) if entry["type"] == "commit"]
    assert len(commits) == 1


def test_a_file_that_is_cut_is_named_and_stays(made: Made, fresh: Path, work: Work) -> None:
    first = read_outcome_files(work.outcomes).whole[0]
    data = first.path.read_bytes()
    first.path.write_bytes(data[:-20])
    code, err = sweep(fresh, work.outcomes)
    assert (code, str(first.path) in err) == (1, True)
    assert [file.path for file in read_outcome_files(work.outcomes).refused] == [first.path]
    first.path.write_bytes(data)
    assert sweep(fresh, work.outcomes)[0] == 0
    assert differing(tables(fresh), tables(made.root)) == []


def test_what_another_catalog_counted_is_not_committed(fresh: Path, work: Work) -> None:
    apps = fresh / "catalog" / "apps.toml"
    with apps.open("a", encoding="utf-8") as file:
        file.write('\n[[app]]\nid = "new"\nname = "new"\nmatch = [{ port = 9 }]\n')
    before = len(read_outcome_files(work.outcomes).whole)
    code, err = sweep(fresh, work.outcomes)
    assert code == 1
    assert "counted with another version" in err
    assert len(read_outcome_files(work.outcomes).whole) == before
    assert not (fresh / "state" / "journal.jsonl").exists()


def test_outcomes_without_their_fragment_are_not_committed(
    made: Made, fresh: Path, work: Work
) -> None:
    """As where a worker wrote to another workspace, or its disk is not mounted here."""
    (path, *_) = sorted((fresh / "state" / "fragments").rglob("*.parquet"))
    moved = path.rename(fresh / "moved")
    code, err = sweep(fresh, work.outcomes)
    assert code == 1
    assert "the fragment of " in err
    left = read_outcome_files(work.outcomes).whole
    assert left
    moved.rename(path)
    assert sweep(fresh, work.outcomes)[0] == 0
    assert read_outcome_files(work.outcomes) == ((), ())
    assert differing(tables(fresh), tables(made.root)) == []
