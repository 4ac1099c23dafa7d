"""Cutting and previews: the processors beside cp, plain ffmpeg and smartcut, in one run.

    python bench/media.py [--quick] [--no-check] [--only cp,segment,auto,preview]

Every row works on the same film with the page cache warm, so the ratios are what counts. After
its seconds are taken, a row's pieces are decoded: no frame missing, repeated or out of order, none
longer than its limit, the sound with its picture. smartcut takes part when it is installed, and
is not judged: the bars are ours.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import media_source
from media_previews import Shown, preview
from media_rows import PEERS, WAYS, Check, Film, Row, look
from tests.support.clip_reader import Reading, read

MINUTES = (10, 60)  # how long the films are; the first one is cut, all are previewed
QUICK = (1, 6)

COPY_TIMES_CP, EXACT_TIMES_ENCODE = 8.0, 5.0
MOST_LAG = {"auto": 45.0, "exact": 30.0}  # milliseconds
CLIP_SECONDS, POSTER_SECONDS, LONG_TO_SHORT = 3.0, 0.6, 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """Something promised, what was measured, and whether that keeps it."""

    says: str
    measured: str
    is_kept: bool


def main() -> int:
    """Run what was asked for and print the tables; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short films: a minute is cut")
    parser.add_argument("--minutes", type=int, help="length of the film that is cut")
    parser.add_argument("--rounds", type=int, default=3, help="of the short rows")
    parser.add_argument("--no-check", action="store_true", help="do not decode the pieces")
    parser.add_argument("--only", help="some rows, with commas between them")
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's own")
    chosen = parser.parse_args()
    rows = [*WAYS, "preview"]
    wanted = chosen.only.split(",") if chosen.only else rows
    if unknown := set(wanted) - set(rows):
        parser.error(f"--only {','.join(sorted(unknown))}: there is {', '.join(rows)}")
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="bench-media-") as name:
        bars = list(_benches(chosen, wanted, Path(name)))
    print("\nbars")
    for bar in bars:
        print(f"  {'kept' if bar.is_kept else 'MISSED':<8}{bar.says:<60}{bar.measured:>10}")
    return 0 if all(bar.is_kept for bar in bars) else 1


def _benches(chosen: argparse.Namespace, wanted: list[str], folder: Path) -> Iterator[Bar]:
    lengths = QUICK if chosen.quick else MINUTES
    ways = [name for name in WAYS if name in wanted]
    minutes = chosen.minutes or lengths[0]
    if ways:
        path = media_source.film(minutes, folder / f"{minutes}_minutes.mp4")
        rows = _cut(Film(path, minutes * 60.0, folder, chosen.rounds), ways)
        checks = {} if chosen.no_check else _checks(rows, path)
        _show(rows, checks)
        for name in (peer for peer in PEERS if peer in ways and peer not in rows):
            print(f"{name:<10}not installed: {PEERS[name]}")
        yield from _bars(rows, checks)
    if "preview" in wanted:
        yield from _previews(folder, lengths, chosen.rounds)


def _cut(film: Film, ways: list[str]) -> dict[str, Row]:
    megabytes = film.path.stat().st_size / 1e6
    print(f"{film.seconds / 60:.0f} minutes of 1080p, {megabytes:.0f} MB")
    film.path.read_bytes()  # into the page cache
    rows = {}
    for name in ways:
        row = WAYS[name](film)
        if row is not None:
            rows[name] = row
    return rows


def _checks(rows: dict[str, Row], path: Path) -> dict[str, Check]:
    if not any(row.pieces for row in rows.values()):
        return {}
    source: Reading = media_source.counted_on([read(path)])[0]
    return {name: look(row, source) for name, row in rows.items() if row.pieces}


def _show(rows: dict[str, Row], checks: dict[str, Check]) -> None:
    titles = f"{'s':>8}{'x cp':>8}{'of encode':>11}{'pieces':>8}"
    print(f"{'':<10}{titles}{'longest':>10}{'of':>7}{'lost/twice/order':>18}{'lag ms':>8}")
    for name, row in rows.items():
        ratios = f"{_ratio(row, rows, 'cp', 1):>8}{_ratio(row, rows, 'encode', 3):>11}"
        line = f"{name:<10}{row.seconds:>8.2f}{ratios}{len(row.pieces) or '':>8}"
        print(f"{line}{_found(row, checks[name]) if name in checks else ''}  {row.note}".rstrip())


def _ratio(row: Row, rows: dict[str, Row], other: str, digits: int) -> str:
    return f"{row.seconds / rows[other].seconds:.{digits}f}" if other in rows else ""


def _found(row: Row, check: Check) -> str:
    frames = check.frames
    counts = f"{len(frames.missing)}/{len(frames.repeated)}/{len(frames.disordered)}"
    return f"{check.longest:>10.3f}{row.limit:>7g}{counts:>18}{round(check.lag):>8}"


def _bars(rows: dict[str, Row], checks: dict[str, Check]) -> Iterator[Bar]:
    if {"cp", "auto"} <= rows.keys():
        times = rows["auto"].seconds / rows["cp"].seconds
        says = f"a bounded copy takes at most {COPY_TIMES_CP:g} times cp"
        yield Bar(says, f"{times:.1f}", times <= COPY_TIMES_CP)
    if {"encode", "exact"} <= rows.keys():
        times = rows["encode"].seconds / rows["exact"].seconds
        says = f"exact is {EXACT_TIMES_ENCODE:g} times faster than encoding all"
        yield Bar(says, f"{times:.1f}", times >= EXACT_TIMES_ENCODE)
    for name in MOST_LAG:
        if name in checks:
            yield from _piece_bars(name, rows[name], checks[name])


def _piece_bars(name: str, row: Row, check: Check) -> Iterator[Bar]:
    over = check.longest - (row.limit or 0.0)
    yield Bar(f"{name}: no piece is over its limit", f"{1000 * over:+.0f} ms", over <= 0)
    says = "yes" if check.frames.is_exact else "no"
    yield Bar(f"{name}: every frame once and in order", says, check.frames.is_exact)
    limit = MOST_LAG[name]
    says = f"{name}: sound within {limit:g} ms of its picture"
    yield Bar(says, f"{round(check.lag)} ms", abs(check.lag) <= limit)


def _previews(folder: Path, lengths: tuple[int, int], rounds: int) -> Iterator[Bar]:
    shown: list[Shown] = []
    for minutes in lengths:
        path = media_source.film(minutes, folder / f"preview_{minutes}.mp4")
        shown.append(preview(path, folder / "preview", rounds))
        path.unlink()
    short, long = shown
    print(f"\npreviews{lengths[0]:>18} min{lengths[1]:>9} min{'ratio':>9}")
    for name in short.seconds:
        one, other = short.seconds[name], long.seconds[name]
        print(f"  {name:<18}{one:>9.2f} s{other:>11.2f} s{other / one:>9.2f}")
    yield from _preview_bars(short, long)


def _preview_bars(short: Shown, long: Shown) -> Iterator[Bar]:
    for name, limit in (("clip", CLIP_SECONDS), ("poster", POSTER_SECONDS)):
        one, other = short.seconds[name], long.seconds[name]
        worst, ratio = max(one, other), other / one
        yield Bar(f"{name}: at most {limit:g} s", f"{worst:.2f} s", worst <= limit)
        says = f"{name}: a long film takes at most {LONG_TO_SHORT:g} times a short one"
        yield Bar(says, f"{ratio:.2f}", ratio <= LONG_TO_SHORT)
    for what, is_so in long.facts.items():
        yield Bar(f"clip: {what}", "yes" if is_so else "no", is_so)


if __name__ == "__main__":
    sys.exit(main())
