"""Failures of ffmpeg and of the disk, sorted; and reading its progress and its descriptions."""

import errno
import json
import os
from pathlib import Path

import pytest

from consumers.errors import HostError, RefusedError, TransientError
from workers.media import faults, settings
from workers.media.files.probe import understand
from workers.media.tools import conversion
from workers.media.tools.conversion import Share


@pytest.mark.parametrize(
    ("returncode", "complaint", "code", "kind"),
    [
        (1, "file:/a/b.mp4: Invalid data found when processing input", "not_media", RefusedError),
        (1, "Format not on whitelist 'mov'", "not_media", RefusedError),
        (1, "moov atom not found", "not_media", RefusedError),
        (1, "av_interleaved_write_frame(): No space left on device", "disk_full", HostError),
        (1, "a.mp4: Disk quota exceeded\nConversion failed!", "disk_full", HostError),
        (1, "p-01.mp4: Read-only file system", "media_unwritable", HostError),
        (1, "Could not write header: Permission denied", "media_unwritable", HostError),
        (1, "Unknown tag 'permission denied' in the header", "ffmpeg_failed", TransientError),
        (1, "Error opening output files: No space left on device.", "disk_full", HostError),
        (-25, "Error writing trailer: No space left on device", "disk_full", HostError),
        (1, "Unknown encoder 'libx264'", "ffmpeg_unfit", TransientError),
        (1, "Cannot allocate memory", "ffmpeg_failed", TransientError),
        (-9, "", "ffmpeg_killed", TransientError),
        (1, "Conversion failed!", "ffmpeg_failed", TransientError),
    ],
)
def test_a_failed_run_is_sorted_by_what_ffmpeg_said(
    *, returncode: int, complaint: str, code: str, kind: type
) -> None:
    error = faults.from_ffmpeg("cutting a.mp4", returncode, complaint)

    assert (error.code, type(error)) == (code, kind)
    assert str(error).startswith("cutting a.mp4: ")


def test_every_code_can_be_raised_and_says_whose_fault_it_is() -> None:
    for code, rule in faults.RULES.items():
        error = faults.fault(code, "x")
        assert isinstance(error, RefusedError) is rule.permanent
        assert isinstance(error, HostError) is rule.of_host


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "media_unwritable"),
        (errno.EACCES, "media_unwritable"),
        (errno.ENOTDIR, "media_unwritable"),
        (errno.EMFILE, "exhausted"),
        (errno.ENOMEM, "exhausted"),
    ],
)
def test_what_the_media_folder_refuses_is_the_machines_fault(number: int, code: str) -> None:
    error = faults.from_os_error(OSError(number, os.strerror(number), "/media/x"), "writing")

    assert (type(error), error.code) == (HostError, code)
    assert "/media/x" in error.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "/usr/bin/ffmpeg"), "ffmpeg_missing"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/media/work/7"), "media_unwritable"),
        (OSError(errno.ENOEXEC, "Exec format error", "/usr/bin/ffmpeg"), "ffmpeg_missing"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "exhausted"),
        (OSError(errno.EMFILE, "Too many open files"), "exhausted"),
    ],
)
def test_a_program_that_cannot_be_started_is_the_machines_fault(error: OSError, code: str) -> None:
    fault = faults.from_start(error, "/usr/bin/ffmpeg", "/media/work/7")

    assert (type(fault), fault.code) == (HostError, code)


def test_a_tool_that_ended_well_may_have_lacked_room_all_the_same() -> None:
    assert faults.lacked_room("Error writing trailer of x: No space left on device\n")
    assert not faults.lacked_room("x: Permission denied")


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("out_time_us=1500000", 1.5),
        ("out_time_us=N/A", 0.0),
        ("out_time_us=-80000", 0.0),
        ("out_time_ms=1500000", None),
        ("progress=end", None),
    ],
)
def test_the_seconds_written_are_read_from_one_key_only(line: str, seconds: float | None) -> None:
    assert conversion.out_time(line) == seconds


def test_progress_is_kept_within_the_share_of_the_run() -> None:
    share = Share(duration=10.0, first=20.0, last=60.0)

    assert [conversion.percent(done, share) for done in (0, 5, 10, 99)] == [20, 40, 60, 60]
    assert conversion.percent(1.0, Share(duration=0.0)) == 0.0


def described(**stream: object) -> str:
    streams = [{"index": 1, "codec_type": "video", "codec_name": "h264"} | stream]
    form = {"duration": "10.0", "start_time": "1.5", "size": "7"}
    return json.dumps({"streams": streams, "format": form})


def test_a_turned_picture_is_described_as_it_is_shown() -> None:
    answer = described(width=1920, height=1080, side_data_list=[{"rotation": -90}])

    video = understand(answer, Path("a.mp4")).video

    assert video is not None
    assert (video.width, video.height, video.index) == (1080, 1920, 1)


def test_a_picture_of_oblong_pixels_is_described_as_it_is_shown() -> None:
    video = understand(
        described(width=720, height=576, sample_aspect_ratio="64:45"), Path("a")
    ).video

    assert video is not None
    assert (video.width, video.height) == (1024, 576)


def test_a_cover_image_is_no_video() -> None:
    answer = json.loads(described(width=600, height=600, disposition={"attached_pic": 1}))
    answer["streams"].append({"index": 0, "codec_type": "audio", "codec_name": "mp3"})

    media = understand(json.dumps(answer), Path("song.mp3"))

    assert media.video is None
    assert media.kind == "audio"


def test_a_film_is_as_long_as_its_picture_and_sound_whatever_its_subtitles_do() -> None:
    answer = json.loads(described(width=320, height=192, start_time="1.5", duration="4.0"))
    told = {"codec_type": "audio", "start_time": "1.5", "duration": "4.25"}
    answer["streams"].append({"index": 0, **told})
    answer["streams"].append({"index": 2, "codec_type": "subtitle", "duration": "10.0"})

    assert understand(json.dumps(answer), Path("a.mp4")).duration == 4.25


def test_a_film_that_does_not_say_how_long_its_sound_is_is_as_long_as_its_file() -> None:
    answer = json.loads(described(width=320, height=192, duration="4.0"))
    answer["streams"].append({"index": 0, "codec_type": "audio"})
    answer["streams"].append({"index": 2, "codec_type": "subtitle", "duration": "10.0"})

    assert understand(json.dumps(answer), Path("a.mp4")).duration == 10.0


def test_a_file_with_neither_picture_nor_sound_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        understand('{"streams": [{"index": 0, "codec_type": "data"}], "format": {}}', Path("a"))

    assert caught.value.code == "no_streams"


def test_options_of_the_wrong_type_are_the_operators_affair() -> None:
    with pytest.raises(HostError) as caught:
        settings.read({"max_items": "many"})

    assert caught.value.code == "bad_options"


@pytest.mark.parametrize(
    "name",
    [
        "no space left on device",
        "a\nb: no space left on device",
        "Permission denied.mp4",
        "unknown encoder.mp4",
        "dé\udcff: no space left on device",
        "\x01a\nb: no space left on device",
    ],
)
def test_the_name_of_a_file_is_no_reason(name: str) -> None:
    said = os.fsencode(f"file:/media/{name}").decode(errors="replace").replace("\x01", "?")
    complaint = f"{said}: Invalid data found when processing input\nError opening input file {said}"

    bare = faults.unnamed(complaint, ("ffprobe", "-v", "error", f"file:/media/{name}"))
    error = faults.from_ffmpeg("looking at a file", 1, bare)

    assert error.code == "not_media"
    assert not faults.lacked_room(bare)


def test_a_name_that_did_not_fit_into_the_line_is_no_reason_either() -> None:
    said = f"[in @ 0x1] file:/{'deep/' * 100}no space left on device"

    bare = faults.unnamed(said, ("ffprobe", f"{said.partition('0x1] ')[2]}.mp4"))
    assert bare.startswith("[in @ 0x1]")
    assert faults.from_ffmpeg("looking", 1, bare).code == "ffmpeg_failed"


def test_a_full_disk_is_noticed_behind_the_name_of_what_was_written() -> None:
    said = "Error muxing a packet\nfile:/media/work/7/out/a.mp4: No space left on device\n"

    bare = faults.unnamed(said, ("ffmpeg", "file:/media/work/7/out/a.mp4"))

    assert faults.lacked_room(bare)
    assert faults.from_ffmpeg("cutting", 1, bare).code == "disk_full"
