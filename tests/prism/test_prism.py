"""The pipeline on Prism: the same bytes in batch, and in a stream through SIGKILL of the engine.

Prism keeps no checkpoints: started again, the stream gives every file again, and the ledger knows
what it has.
"""

import os
import shutil
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from engine import Flows, following, prism, until
from workspaces import differing, fragments, tables, v6share

from v6share.pipelines.beam_pipeline import build, read_outcomes
from v6share.pipelines.engines.follow import follow_work
from v6share.pipelines.find import find_inputs
from v6share.pipelines.outcome_files import OutcomeFile, read_outcome_files
from v6share.schemas.outcome import Outcome
from v6share.workspace.configured import configure


def arrive(file: Path, folder: Path) -> None:
    """As a collector should: under a private name first, then whole."""
    shutil.copy(file, folder / f"{file.name}.tmp")
    (folder / f"{file.name}.tmp").rename(folder / file.name)


def outcome_files(root: Path) -> tuple[OutcomeFile, ...]:
    files = read_outcome_files(root / "state" / "outcomes" / "follow")
    assert files.refused == ()
    return files.whole


def outcomes(root: Path) -> list[Outcome]:
    return [one for file in outcome_files(root) for one in file.outcomes]


def counted(root: Path) -> set[str]:
    return {Path(one.path).name for one in outcomes(root) if one.status == "fragment"}


def test_a_batch_makes_the_same_bytes(
    binary: Path, flows: Flows, fresh: Path, tmp_path: Path
) -> None:
    work = follow_work(configure(fresh))
    found = find_inputs([str(flows.files[0].parent)]).inputs
    with prism(binary, tmp_path / "prism.log") as engine:
        pipeline = beam.Pipeline(options=PipelineOptions(engine.options))
        build(pipeline, beam.Create(found), work)
        pipeline.run().wait_until_finish()
    assert [one.path for one in read_outcomes(work.outcomes)] == [str(f) for f in flows.files]
    assert fragments(fresh) == fragments(flows.root)


def test_a_stream_lives_through_the_death_of_its_engine(
    binary: Path, flows: Flows, fresh: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    with (
        prism(binary, tmp_path / "prism-1.log") as engine,
        following(fresh, folder, engine, tmp_path / "follow-1.log") as client,
    ):
        for number, file in enumerate(flows.files[:20], 1):
            arrive(file, folder)
            # The first ten one by one, the others while the engine counts.
            if number <= 10:
                until(client, lambda: file.name in counted(fresh))  # noqa: B023 - called here
        engine.kill()
    before = counted(fresh)
    assert 10 <= len(before) <= 20
    assert len(outcome_files(fresh)) >= 10
    with (
        prism(binary, tmp_path / "prism-2.log") as engine,
        following(fresh, folder, engine, tmp_path / "follow-2.log") as client,
    ):
        for file in flows.files[20:]:
            arrive(file, folder)
        until(client, lambda: len(counted(fresh)) == 40)
        until(client, lambda: len(outcomes(fresh)) >= 40 + len(before))
    assert fragments(fresh) == fragments(flows.root)
    assert all(file.outcomes for file in outcome_files(fresh))
    # The sweep: a run over the folder commits all of it once.
    code, _, err = v6share(fresh, "run", folder)
    assert code == 0, err
    assert fragments(fresh) == fragments(flows.root)
    assert differing(tables(fresh), tables(flows.root)) == []


def test_a_file_that_changed_is_given_again_however_old_it_is(
    binary: Path, flows: Flows, fresh: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    first, second, hidden = flows.files[:3]
    shutil.copy(hidden, folder / "_private.parquet")
    with (
        prism(binary, tmp_path / "prism.log") as engine,
        following(fresh, folder, engine, tmp_path / "follow.log") as client,
    ):
        arrive(first, folder)
        until(client, lambda: len(outcomes(fresh)) == 1)
        old = tmp_path / "old"
        shutil.copy(second, old)
        os.utime(old, (1, 1))
        old.rename(folder / first.name)
        until(client, lambda: len(outcomes(fresh)) == 2)
    one, other = outcomes(fresh)
    assert one.path == other.path == str(folder / first.name)
    assert other.mtime_ns == 1_000_000_000 < one.mtime_ns
    assert one.key != other.key
    names = {f"{o.key.fragment_id}.parquet" for o in (one, other) if o.key is not None}
    assert {Path(name).name for name in fragments(fresh)} == names
    assert fragments(fresh).items() <= fragments(flows.root).items()
