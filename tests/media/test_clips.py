"""The numbered clips are what their names say: whoever judges by them may trust them."""

import re
import statistics
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import measure
from tests.support.clip_reader import lag, original, read, tiles
from tests.support.clips import LATE, SUBTITLES, TRANSPORT_START, Clip, clip, place

FILMS = [asked for asked in Clip if asked.frames and asked is not Clip.BLACK_INTRO]


def keyframes(path: Path) -> list[tuple[float, bool]]:
    """Return each keyframe's second, and whether pictures after it in the file come before it."""
    entries = ("-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0")
    command = ["ffprobe", "-v", "error", *entries, str(path)]
    ran = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    found: list[tuple[float, bool]] = []
    for line in ran.stdout.split():
        moment, flags = float(line.split(",")[0]), line.split(",")[1]
        if "K" in flags:
            found.append((moment, False))
        elif moment < found[-1][0]:
            found[-1] = (found[-1][0], True)
    return found


def detected(path: Path, options: tuple[str, ...], pattern: str) -> list[float]:
    """Return the numbers that one of ffmpeg's detectors says."""
    command = ["ffmpeg", "-nostdin", "-i", str(path), *options, "-f", "null", "-"]
    ran = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    return [float(found) for found in re.findall(pattern, ran.stderr)]


@pytest.mark.parametrize("asked", FILMS, ids=lambda asked: asked.name.lower())
def test_every_frame_shows_its_number(asked: Clip) -> None:
    reading = original(asked)

    assert reading.numbers == tuple(range(asked.frames))
    assert reading.complaints == ()


@pytest.mark.parametrize(
    "asked", [Clip.CLOSED_GOP, Clip.NTSC, Clip.WEBM, Clip.SONG_M4A], ids=lambda asked: asked.name
)
def test_a_pip_sounds_at_each_whole_second(asked: Clip) -> None:
    pips = original(asked).pips[0]

    assert len(pips) >= 13
    assert all(abs(pip - second) <= 0.002 for second, pip in enumerate(pips, start=1))


def test_a_closed_gop_lets_itself_be_cut_at_every_keyframe() -> None:
    assert keyframes(clip(Clip.CLOSED_GOP)) == [(float(2 * n), False) for n in range(10)]
    assert keyframes(clip(Clip.LONG_GOP)) == [(0.0, False), (9.0, False), (18.0, False)]
    assert keyframes(clip(Clip.ONE_GOP)) == [(0.0, False)]
    assert measure.top_level_boxes(clip(Clip.CLOSED_GOP))[:2] == ["ftyp", "moov"]


@pytest.mark.parametrize("asked", [Clip.OPEN_GOP, Clip.OPEN_GOP_HEVC], ids=lambda asked: asked.name)
def test_every_keyframe_of_an_open_gop_but_the_first_has_pictures_before_it(asked: Clip) -> None:
    first, *others = keyframes(clip(asked))

    assert first == (0.0, False)
    assert len(others) >= 3
    assert all(has_leading for _, has_leading in others)


def test_the_unsteady_clip_has_three_tempos_and_a_standstill() -> None:
    times = [frame.time for frame in original(Clip.UNSTEADY).frames]
    steps = [round(after - before, 2) for before, after in pairwise(times)]

    assert {0.02, 0.04, 0.08} <= set(steps)
    assert max(steps) == 3.08


def test_the_transport_stream_begins_late_by_its_clock() -> None:
    reading = original(Clip.TRANSPORT)

    assert reading.frames[0].time == TRANSPORT_START
    assert reading.pips[0][0] == pytest.approx(TRANSPORT_START + 1, abs=0.002)


def test_the_matroska_has_two_tracks_of_sound_subtitles_and_chapters() -> None:
    path = clip(Clip.TWO_TRACKS)
    reading = read(path)
    kinds = [stream["codec_type"] for stream in measure.described(path)["streams"]]
    command = ["ffprobe", "-v", "error", "-show_chapters", "-of", "csv", str(path)]
    chapters = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)

    assert kinds == ["video", "audio", "audio", "subtitle"]
    assert chapters.stdout.count("\n") == 3
    assert SUBTITLES.count("-->") == 2
    between = [one - other for one, other in zip(reading.pips[1][1:], reading.pips[0], strict=True)]
    assert statistics.median(between) == pytest.approx(0.25, abs=0.002)


def test_the_turned_clip_is_stored_lying_and_shown_standing() -> None:
    described = measure.described(clip(Clip.TURNED))["streams"][0]

    assert (described["width"], described["height"]) == (320, 192)
    assert [abs(side["rotation"]) for side in described["side_data_list"]] == [90]


def test_the_clips_without_picture_or_sound_lack_it() -> None:
    assert original(Clip.SILENT).pips == ()
    for song in (Clip.SONG_MP3, Clip.SONG_M4A):
        reading = original(song)
        assert (reading.frames, len(reading.pips[0])) == ((), 14)


def test_a_black_intro_shows_nothing_for_five_seconds() -> None:
    numbers = original(Clip.BLACK_INTRO).numbers

    assert numbers == (None,) * 125 + tuple(range(125, 375))


def test_picture_and_sound_may_end_and_begin_apart() -> None:
    long_sound, late = original(Clip.LONG_SOUND), original(Clip.LATE_PICTURE)

    assert (long_sound.duration, long_sound.video_duration) == (12.0, 8.0)
    assert (late.duration, late.frames[0].time, late.pips[0][0]) == (12.0, LATE, 1.0)


def test_silences_and_scenes_are_where_the_recipe_puts_them() -> None:
    silence = ("-af", "silencedetect=n=-35dB:d=0.6")
    starts = detected(clip(Clip.SILENCES), silence, r"silence_start: ([\d.]+)")
    scenes = detected(clip(Clip.SCENES), ("-vf", "scdet=threshold=10"), r"lavfi.scd.time: ([\d.]+)")

    assert starts == pytest.approx([5.0, 12.2], abs=0.05)
    assert scenes == [4.0, 9.2, 13.0]
    assert detected(clip(Clip.CLOSED_GOP), silence, r"silence_start: ([\d.]+)") == []
    assert detected(clip(Clip.ONE_GOP), ("-vf", "scdet=threshold=10"), r"scd.time: ([\d.]+)") == []


def test_size_rate_and_colour_are_what_the_recipe_says() -> None:
    odd = measure.described(clip(Clip.ODD_SIZE))["streams"][0]
    ntsc = measure.described(clip(Clip.NTSC))["streams"][0]
    tagged = [
        measure.described(clip(asked))["streams"][0]
        for asked in (Clip.COLOUR_709, Clip.COLOUR_2020)
    ]

    assert (odd["width"], odd["height"]) == (321, 193)
    assert ntsc["r_frame_rate"] == "30000/1001"
    assert [one["color_primaries"] for one in tagged] == ["bt709", "bt2020"]
    assert [one["color_transfer"] for one in tagged] == ["bt709", "bt2020-10"]
    assert [one["color_space"] for one in tagged] == ["bt709", "bt2020nc"]
    assert {one["color_range"] for one in tagged} == {"tv"}


def test_a_clip_is_made_once_and_its_copies_may_be_spoilt(tmp_path: Path) -> None:
    made = clip(Clip.TEN_FRAMES)
    stamp = made.stat().st_mtime_ns
    place(Clip.TEN_FRAMES, tmp_path).write_bytes(b"spoilt")

    assert clip(Clip.TEN_FRAMES).stat().st_mtime_ns == stamp
    assert len(read(made, sound=False).frames) == 10


def test_a_sheet_of_pictures_is_read_tile_by_tile(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    picked = ("-vf", "select='not(mod(n,50))',scale=160:-2,tile=5x2", "-frames:v", "1")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip(Clip.CLOSED_GOP)), *picked]
    subprocess.run([*command, str(sheet)], check=True, timeout=30)

    assert tiles(sheet, columns=5, rows=2) == tuple(range(0, 500, 50))


def test_a_clip_has_no_lag_to_itself() -> None:
    reading = original(Clip.UNSTEADY)

    assert lag(reading, reading) == 0.0
