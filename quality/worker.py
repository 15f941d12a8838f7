"""The gate process: it loads Great Expectations once, and judges what it is sent.

It is started while a run counts; a stream keeps it. It knows no file and no database. Started as::

    python -m v6share.quality.worker [FILE.py]...

where the files define expectations of one's own. It ends when its input does.
"""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from v6share.quality.judge import VERSION, Judge, load_expectations
from v6share.quality.messages import receive, receive_frame, send
from v6share.schemas.evidence import Evidence


def main() -> int:
    """Answer requests from stdin on stdout, until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not stand between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for file in sys.argv[1:]:
        load_expectations(Path(file))
    judge = Judge()
    send(answers, {"ready": VERSION})
    while (request := receive(sys.stdin.buffer)) is not None:
        frames = _receive_frames(sys.stdin.buffer, request["frames"])
        docs = request.get("docs")
        try:
            verdicts = judge.validate(request["suites"], frames, docs and Path(docs))
            answer: dict[str, Any] = {"verdicts": [vars(one) for one in verdicts]}
        except Exception:  # whatever it is, it must not end without a word
            answer = {"error": traceback.format_exc()}
        send(answers, answer)
    return 0


def _receive_frames(pipe: IO[bytes], keys: Mapping[str, Sequence[str]]) -> dict[str, Evidence]:
    return {name: Evidence(receive_frame(pipe), tuple(key)) for name, key in keys.items()}


if __name__ == "__main__":
    sys.exit(main())
