"""Pages that stand before what a link leads to: they want to see a human first, or a login.

Pure. Such a page is looked for only where no film was found, and has nothing else to say: long
ones may speak of robots, or have a form that does.
"""

import re

from workers.media.fetching.child.bounds import NotTakenError

LONGEST = 65536  # bytes of a page that is nothing but a wall

_OF_ROBOTS = re.compile(
    rb"(you(&#39;|&rsquo;|\xe2\x80\x99|')?re|you are) not a (bot|robot)"
    rb"|verify(ing)? (that )?you('re| are) (a )?human|unusual traffic from your"
    rb"|checking your browser before",
    re.IGNORECASE,
)
_LOGIN = re.compile(rb"<title>[^<]*\b(log|sign) ?in\b", re.IGNORECASE)
_PASSWORD = re.compile(rb"<input\b[^<>]*\btype\s*=\s*[\"']?password", re.IGNORECASE)


class RobotCheckError(NotTakenError):
    """A site asks whether a human is there."""


class LoginPageError(NotTakenError):
    """A site shows its login in place of what was asked for."""


def of(page: bytes) -> NotTakenError | None:
    """Return what a page asks for, if it is a wall."""
    if len(page) > LONGEST:
        return None
    if _OF_ROBOTS.search(page):
        return RobotCheckError("the site sends a page that asks to confirm you're not a bot")
    if _LOGIN.search(page) and _PASSWORD.search(page):
        return LoginPageError("the site sends its login page instead")
    return None
