"""``python bent_fragment.py FOLDER``: read a fragment with one byte bent, for many bytes.

To be run by a test: a process that is ended is a failure there. Says of each byte what became of
the fragment, once each; whatever is no FragmentUnreadable ends the process.
"""

import sys
from pathlib import Path

from fragment_maker import make_fragment

from v6share.schemas.aggregates import FRAGMENT_TABLES
from v6share.schemas.merge_rows import SumBeyondRangeError, combine
from v6share.warehouse.merge.read_fragments import FragmentSource, FragmentUnreadable, read_fragment
from v6share.workspace.paths import Workspace


def said_of(source: FragmentSource) -> str:
    try:
        fragment = read_fragment(source)
        for table in FRAGMENT_TABLES:
            combine(table, [fragment.tables[table.name]] * 2)
    except FragmentUnreadable:
        return "unreadable"
    except SumBeyondRangeError:
        return "beyond range"
    return "read"


def main(root: Path) -> None:
    made = make_fragment(Workspace(root), "a", 1, rows=3, hashes=2)
    whole = Workspace(root).fragment(made.key.fragment_id).read_bytes()
    source = FragmentSource(made.key, root / "bent.parquet", made.path)
    said = set()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for at in (*range(4, footer, 11), *range(footer, len(whole), 97)):
        bent = bytearray(whole)
        bent[at] = 255 if at % 3 else whole[at] ^ 1 << at % 8
        source.file.write_bytes(bent)
        said.add(said_of(source))
    sys.stdout.write("\n".join(sorted(said)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
