"""``data:export``: rows of a JSON lines file in the media folder, as CSV or as a JSON list."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from examples.nine_queues.places import existing, whole
from workers.processor import Job, JobContext, Reject, Result
from workers.registry import read


class Request(msgspec.Struct):
    """What a job says: which file, into which, and which fields (all of the first row's)."""

    source: str
    target: str
    format: Literal["csv", "json"] = "csv"
    fields: Annotated[list[str], msgspec.Meta(max_length=500)] = []


def handle(job: Job, context: JobContext) -> Result:
    """Export the rows; the target is there when it is whole."""
    request = read(Request, job.data)
    source = existing(context, request.source)
    with whole(context, request.target) as path:
        count = _EXPORTS[request.format](source, path, request.fields)
    return Result(data={"file": request.target, "rows": count})


def _as_csv(source: Path, target: Path, fields: list[str]) -> int:
    count = 0
    with target.open("w", newline="", encoding="utf-8") as out:
        writer: csv.DictWriter[str] | None = None
        for row in _rows(source):
            if writer is None:
                names = fields or list(row)
                writer = csv.DictWriter(out, names, restval="", extrasaction="ignore")
                writer.writeheader()
            writer.writerow(row)
            count += 1
    return count


def _as_json(source: Path, target: Path, fields: list[str]) -> int:
    rows = [{name: row.get(name) for name in fields} if fields else row for row in _rows(source)]
    target.write_bytes(msgspec.json.encode(rows))
    return len(rows)


def _rows(source: Path) -> Iterator[dict[str, object]]:
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError as error:
                says = f"line {number} is no JSON object: {error}"
                raise Reject(says, code="bad_row", hint="correct the file") from error


_EXPORTS = {"csv": _as_csv, "json": _as_json}
