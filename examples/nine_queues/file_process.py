"""``file:process``: a file of the media folder is packed, or told by its checksum."""

import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from examples.nine_queues.places import existing, whole
from workers.processor import Job, JobContext, Reject, Result
from workers.registry import read

BLOCK = 1_000_000  # bytes


class Request(msgspec.Struct, rename="camel"):
    """What a job says."""

    file_path: str
    do: Literal["checksum", "gzip"] = "checksum"


def handle(job: Job, context: JobContext) -> Result:
    """Do it; what is made appears beside the file when it is whole."""
    request = read(Request, job.data)
    source = existing(context, request.file_path)
    if request.do == "checksum":
        return Result(data={"sha256": _checksum(source, context)})
    name = f"{request.file_path}.gz"
    with whole(context, name) as path, source.open("rb") as data, gzip.open(path, "wb") as packed:
        shutil.copyfileobj(data, packed, BLOCK)
    return Result(data={"file": name})


def _checksum(source: Path, context: JobContext) -> str:
    size, done, digest = max(source.stat().st_size, 1), 0, hashlib.sha256()
    with source.open("rb") as data:
        while block := data.read(BLOCK):
            if context.cancelled.is_set():
                raise Reject("cancelled")
            digest.update(block)
            done += len(block)
            context.progress(100 * done / size, "reading")
    return digest.hexdigest()
