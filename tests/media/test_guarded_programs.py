"""The guard in a process of its own, where it cannot be taken off again: what is let through."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from tests.media.conftest import Clips
from tests.support.media_server import MediaServer
from workers.media.fetching.child import guard

PROGRAM = """
import ftplib, http.client, os, socket, subprocess, sys, urllib.request
from workers.media.fetching.child import guard

BOUNDS = guard.rules(allow=[ALLOWED], proxy="", ffmpeg=FFMPEG)
answers = iter([[(2, 1, 6, "", ("93.184.216.34", PORT))], [(2, 1, 6, "", ("127.0.0.1", PORT))]])

def rebound():
    socket.getaddrinfo = lambda *_: next(answers)   # a name server that changes its answer
    assert socket.getaddrinfo("films.example")[0][4][0] == "93.184.216.34"
    socket.create_connection(("films.example", PORT))

def tried(name, do):
    try:
        do()
        print(name, "done", flush=True)
    except BaseException as error:
        print(name, type(error).__name__, flush=True)

guard.install(BOUNDS)
"""


def told(port: int, folder: Path, body: str, *, allowed: str = "10.0.0.1") -> dict[str, str]:
    """Return what became of each thing that a guarded program tried."""
    ffmpeg = shutil.which("ffmpeg") or ""
    head = PROGRAM.replace("FFMPEG", repr(ffmpeg)).replace("PORT", str(port))
    program = head.replace("ALLOWED", repr(allowed)) + textwrap.dedent(body).replace(
        "PORT", str(port)
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=25,
        check=True,
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.fixture
def port(site: MediaServer) -> int:
    return int(site.url.rpartition(":")[2])


@pytest.mark.parametrize("body", [
    """
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "0", "0.0.0.0",
                 "localhost", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "10.0.0.2", "fe80::1",
                 "169.254.169.254", "64:ff9b::7f00:1"):
        tried(host, lambda: socket.create_connection((host, PORT), timeout=2))
    """,
    """
    v4, v6 = socket.socket(), socket.socket(socket.AF_INET6)
    datagram = socket.socket(type=socket.SOCK_DGRAM)
    tried("by-name", lambda: v4.connect(("localhost", PORT)))
    tried("ex", lambda: v4.connect_ex(("127.0.0.1", PORT)))
    tried("six", lambda: v6.connect(("::1", PORT, 0, 0)))
    tried("datagram", lambda: datagram.connect(("127.0.0.1", PORT)))
    tried("sent", lambda: datagram.sendto(b"x", ("127.0.0.1", PORT)))
    tried("message", lambda: datagram.sendmsg([b"x"], [], 0, ("127.0.0.1", PORT)))
    tried("unix", lambda: socket.socket(socket.AF_UNIX).connect("/run/x.sock"))
    """,
    """
    tried("http", lambda: http.client.HTTPConnection("127.0.0.1", PORT).request("GET", "/"))
    tried("urllib", lambda: urllib.request.urlopen("http://127.0.0.1:PORT/"))
    tried("ftp", lambda: ftplib.FTP().connect("127.0.0.1", PORT))
    tried("rebinding", rebound)
    """,
])  # fmt: skip
def test_no_way_of_connecting_from_python_leads_inside(
    site: MediaServer, port: int, tmp_path: Path, body: str
) -> None:
    outcomes = told(port, tmp_path, body)

    assert outcomes
    assert set(outcomes.values()) == {"BlockedAddressError"}, outcomes
    assert site.asked == []


def test_no_other_program_connects_in_its_place(
    site: MediaServer, port: int, tmp_path: Path
) -> None:
    body = """
    link = "http://127.0.0.1:PORT/"
    run = lambda *words: subprocess.run(words, timeout=5)
    tried("curl", lambda: run("curl", link))
    tried("shell", lambda: os.system("curl " + link))
    tried("popen", lambda: os.popen("curl " + link))
    tried("spawn", lambda: os.posix_spawn("/usr/bin/curl", ["curl", link], {}))
    tried("exec", lambda: os.execv("/usr/bin/curl", ["curl", link]))
    tried("fork", lambda: os.fork())
    tried("deno", lambda: run("deno", "run", "--allow-net", "-"))
    tried("python", lambda: run(sys.executable, "-c", "pass"))
    """

    outcomes = told(port, tmp_path, body)

    assert len(outcomes) == 8
    assert set(outcomes.values()) == {"FileNotFoundError"}, outcomes
    assert site.asked == []


def test_ffmpeg_works_on_files_and_fetches_nothing(
    site: MediaServer, port: int, clips: Clips, tmp_path: Path
) -> None:
    (tmp_path / "l.m3u8").write_text(f"#EXTM3U\n#EXTINF:4,\n{site.url}/0.ts\n#EXT-X-ENDLIST\n")
    body = f"""
    ffmpeg = {shutil.which("ffmpeg")!r}
    run = lambda *words: subprocess.run((ffmpeg, "-v", "error", *words), timeout=9, check=True)
    tried("link", lambda: run("-i", "http://127.0.0.1:PORT/0.ts", "-f", "null", "-"))
    tried("hidden", lambda: run("-i", "concat:http://127.0.0.1:PORT/0.ts", "-f", "null", "-"))
    tried("out", lambda: run("-i", "file:{clips.short}", "-f", "mpegts", "tcp://127.0.0.1:PORT"))
    tried("list", lambda: run("-i", "file:l.m3u8", "-f", "null", "-"))
    tried("file", lambda: run("-i", "file:{clips.short}", "-c", "copy", "-f", "null", "-"))
    """

    outcomes = told(port, tmp_path, body)

    assert outcomes == {
        "link": "ForeignClientError",
        "hidden": "ForeignClientError",
        "out": "ForeignClientError",
        "list": "CalledProcessError",
        "file": "done",
    }
    assert site.asked == []


def test_a_public_address_of_this_machine_is_as_closed_as_the_others(
    site: MediaServer, port: int, tmp_path: Path
) -> None:
    body = """
    guard.is_public = lambda _address: True     # as if loopback were of the internet
    tried("own", lambda: socket.create_connection(("127.0.0.1", PORT)))
    tried("own-again", lambda: socket.create_connection(("127.0.0.2", PORT)))
    """

    outcomes = told(port, tmp_path, body)

    assert set(outcomes.values()) == {"BlockedAddressError"}, outcomes


def test_a_host_that_is_allowed_by_name_is_reached_at_its_port(
    site: MediaServer, port: int, tmp_path: Path
) -> None:
    body = """
    tried("there", lambda: socket.create_connection(("localhost", PORT)))
    tried("elsewhere", lambda: socket.create_connection(("127.0.0.2", PORT)))
    tried("otherwise", lambda: socket.create_connection(("localhost", 9)))
    """

    outcomes = told(port, tmp_path, body, allowed=f"localhost:{port}")

    assert outcomes == {
        "there": "done",
        "elsewhere": "BlockedAddressError",
        "otherwise": "BlockedAddressError",
    }


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("http://user:secret@proxy.lan:3128", "proxy.lan:3128"),
        ("proxy.lan", "proxy.lan:80"),
        ("https://10.0.0.1", "10.0.0.1:443"),
        ("socks5h://[::1]", "[::1]:1080"),
    ],
)
def test_the_proxys_port_is_the_usual_one_when_it_is_not_said(link: str, place: str) -> None:
    assert str(guard.rules(allow=(), proxy=link, ffmpeg="/usr/bin/ffmpeg").proxy) == place


def test_clients_that_connect_on_their_own_are_not_used(tmp_path: Path) -> None:
    program = (
        "import msgspec, yt_dlp\n"
        "from workers.media.fetching.child import fetch\n"
        "from workers.media.fetching.child.album import Album\n"
        "from workers.media.fetching.child.throughput import Throughput\n"
        "from workers.media.fetching.child.transfer import Transfers\n"
        "from workers.media.fetching.wire import FetchRequest\n"
        "class Curl(yt_dlp.networking._urllib.UrllibRH): RH_KEY = 'CurlCFFI'\n"
        "request = FetchRequest('http://x', '.', '/usr/bin/ffmpeg')\n"
        "options = fetch.options(request, print)\n"
        "transfers, album = Transfers(Throughput(1, 60)), Album(request, print, ())\n"
        "fetcher = fetch.Fetcher(options, transfers, album)\n"
        "clients = [*yt_dlp.networking.common._REQUEST_HANDLERS.values(), Curl]\n"
        "print(msgspec.json.encode(sorted(fetcher.build_request_director(clients).handlers))"
        ".decode())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        timeout=20,
        check=True,
    )

    assert "CurlCFFI" not in msgspec.json.decode(done.stdout, type=list[str])
