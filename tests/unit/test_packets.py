"""Reading the packet list: which keyframes a file may be cut at."""

from workers.media.files.packets import Scan


def scanned(*lines: str, origin: float = 0.0) -> Scan:
    scan = Scan(origin)
    for line in lines:
        scan.read(line)
    return scan


def test_a_keyframe_followed_by_an_earlier_frame_is_not_clean() -> None:
    scan = scanned(
        "0,0.0,0,0.04,9,K__",
        "0,2.0,1.8,0.04,9,K__",
        "0,1.92,1.84,0.04,9,___",
        "0,4.0,3.9,0.04,9,K__",
    )

    assert scan.keyframes().every == (0.0, 2.0, 4.0)
    assert scan.keyframes().clean == (0.0, 4.0)


def test_times_count_from_the_beginning_of_the_file() -> None:
    scan = scanned("0,1.4,1.4,0.04,9,K_", "0,3.4,3.4,0.04,9,K_", origin=1.4)

    assert scan.keyframes().clean == (0.0, 2.0)
    assert round(scan.end, 3) == 2.04


def test_a_packet_without_a_presentation_time_goes_by_its_decoding_time() -> None:
    assert scanned("0,N/A,2.0,N/A,9,K_").keyframes().every == (2.0,)


def test_what_has_no_time_at_all_is_passed_over() -> None:
    assert scanned("0,N/A,N/A,N/A,9,K_", "", "garbage").keyframes().every == ()
