"""Which cookies go with a link: files of the operator's, one per site.

They are read here and handed to the child through its stdin, never by a path or an argument, and
never written anywhere again: what a site sets meanwhile is forgotten with the child.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from workers.media.faults import fault
from workers.sites import name_of

MOST = 4_000_000  # bytes; a browser's whole jar has a few hundred thousand
_NOT_FOR_SCRIPTS = "#HttpOnly_"  # begins a line that is no comment
SHORTEST = 6  # characters of a value that is worth hiding: "1" and "true" are everywhere


def for_link(link: str, sites: Mapping[str, str]) -> str:
    """Return the cookies of the site a link leads to, as the text of its file; empty for none.

    A site is named by its host, which covers what lies below it: ``instagram.com`` means
    ``www.instagram.com`` too. The longest name wins. Of the file only the site's own lines are
    taken: a redirect leads elsewhere, and a browser's whole jar has a line for that place as well.

    Raises:
        HostError: ``bad_options`` when the file cannot be read.
    """
    host = urlsplit(link).hostname or ""
    site = site_of(host, sites) or site_of(name_of(host), sites)  # of youtu.be: youtube.com
    return of_site(site, _read(site, Path(sites[site]))) if site else ""


def of_site(site: str, text: str) -> str:
    """Return the lines of a cookie file that are of a site: its own, below it, or for all above.

    Comments stay, the first of them says what the file is.
    """
    return "".join(line for line in text.splitlines(keepends=True) if _is_of(site, line))


def site_of(host: str, sites: Mapping[str, str]) -> str:
    """Return the longest of the sites that a host is, or lies below; empty for none."""
    host = host.lower().rstrip(".")
    fitting = [site for site in sites if f".{host}".endswith(f".{site.lower().strip('.')}")]
    return max(fitting, key=len, default="")


def check(sites: Mapping[str, str]) -> None:
    """Return when every site's file can be read. Raises HostError as ``for_link`` does."""
    for site, path in sites.items():
        _read(site, Path(path))


def secrets(text: str) -> frozenset[str]:
    """Return the values in a cookie file that must not be repeated anywhere."""
    return frozenset(value for value in _values(text) if len(value) >= SHORTEST)


def _is_of(site: str, line: str) -> bool:
    domain, *rest = line.removeprefix(_NOT_FOR_SCRIPTS).split("\t")
    if len(rest) != 6:
        return line.startswith("#") or not line.strip()
    site, domain = site.lower().strip("."), domain.lower().strip(".")
    is_above = "." in domain and f".{site}".endswith(f".{domain}") and rest[0] == "TRUE"
    return is_above or f".{domain}".endswith(f".{site}")


def _values(text: str) -> Iterator[str]:
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 7:
            yield fields[6].strip()


def _read(site: str, path: Path) -> str:
    try:
        text = path.read_bytes()[: MOST + 1]
    except OSError as error:
        why = f"options: cookies of {site}: {path}: {error.strerror}"
        raise fault("bad_options", why) from error
    if len(text) > MOST or not text.lstrip().startswith((b"# Netscape", b"# HTTP Cookie")):
        why = f"options: cookies of {site}: {path} is not a cookies.txt in Netscape's format"
        raise fault("bad_options", why)
    return text.decode(errors="replace")
