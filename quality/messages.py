"""What the gate process is asked and what it answers, and how that goes over a pipe.

A message is a line of JSON; behind a request, the frames follow in the order in which it names
them, each with its length in eight bytes, big-endian, as an Arrow stream. Only these modules and
Arrow are loaded on both sides.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

import pyarrow as pa

_LENGTH_BYTES: Final = 8

Outcome = Literal["passed", "failed", "not judged", "errored"]


@dataclass(frozen=True)
class Verdict:
    """What came of one expectation.

    judged: rows that it looked at. unexpected: of these, how many are not as expected; 1 where it
    judges all rows at once. observed: what it found, as text. sample: some of those rows, by their
    key. outcome: ``not judged`` where there was no row to look at, ``errored`` where it could not
    be carried out; both are no pass.
    """

    suite: str
    name: str
    outcome: Outcome
    judged: int
    unexpected: int
    observed: str
    sample: tuple[dict[str, Any], ...] = ()


def send(pipe: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write a message."""
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def receive(pipe: IO[bytes]) -> dict[str, Any] | None:
    """The next message; None where the other side has gone. Raises ValueError where it is none."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"found {line[:100]!r}, expected an object")
    return message


def send_frame(pipe: IO[bytes], frame: pa.Table) -> None:
    """Write rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, frame.schema) as writer:
        writer.write_table(frame)
    data = sink.getvalue()
    pipe.write(data.size.to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)
    pipe.flush()


def receive_frame(pipe: IO[bytes]) -> pa.Table:
    """The next rows. Raises ValueError where the other side has gone."""
    length = pipe.read(_LENGTH_BYTES)
    data = pipe.read(int.from_bytes(length, "big"))
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
