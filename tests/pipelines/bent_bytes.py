"""``python bent_bytes.py FILE FIRST BEHIND``: count a flow file with one byte bent, for each byte.

To be run by a test, with NUMBA_DISABLE_JIT=1: the kernels are plain Python then, which checks each
index where machine code does not. Says of each byte what became of the file, once each.
"""

import sys
from pathlib import Path

import numpy as np
from flow_maker import catalog

from v6share.pipelines.kernels.classify import node_search

# LLVM's own vector instructions have no Python; before the modules that import the name.
node_search.count_passed = lambda keys, at, key: int(
    (keys[at : at + node_search.NODE_KEYS] <= key).sum()
)

from v6share.pipelines.compile_plan import compile_plan  # noqa: E402
from v6share.pipelines.flow_file import open_flow_file  # noqa: E402
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator  # noqa: E402
from v6share.pipelines.kernels.aggregate.fragment_tables import merge_accumulators  # noqa: E402
from v6share.pipelines.kernels.plan import Plan  # noqa: E402
from v6share.schemas.errors import InputRefused  # noqa: E402
from v6share.schemas.settings import Settings  # noqa: E402


def rows_of(path: Path, plan: Plan) -> int:
    file, lane = open_flow_file(str(path)), Accumulator(plan)
    for batch in file.read(range(file.row_groups), 4):
        lane.add(batch)
    return merge_accumulators(plan, [lane]).rows_in


def said_of(path: Path, plan: Plan, rows: int) -> str:
    try:
        return "all rows" if rows_of(path, plan) == rows else "other rows"
    except InputRefused as refusal:
        return refusal.reason


def main(path: Path, first: int, behind: int) -> None:
    np.seterr(all="ignore")  # integers wrap, as in machine code
    plan = compile_plan(catalog(), Settings(), bytes(16))
    rows, whole, copy = rows_of(path, plan), path.read_bytes(), path.with_suffix(".copy")
    said = set()
    for at in range(first, min(behind, len(whole))):
        bent = bytearray(whole)
        bent[at] = 255 if at % 3 else whole[at] ^ 1 << at % 8
        copy.write_bytes(bent)
        said.add(said_of(copy, plan, rows))
    sys.stdout.write("\n".join(sorted(said)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
