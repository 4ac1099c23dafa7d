"""Downloads, the child's side: what runs in the process that talks to a site.

``fetch`` is its program and the one file that knows yt-dlp. It installs the ``guard``, keeps to
``bounds``, and asks for each page and file by ``transfer``: ``compressed`` answers are unpacked
with care, ``segments`` looked at, ``throughput`` watched. ``narration`` tells how far it is,
``harvest`` what came, ``causes`` what failed.

Imports what both sides know (``wire`` ``cookies`` ``origin`` ``playlists``), addresses, amounts and
faults: no tools, no files, no settings. What is loaded here lies within a stranger's reach.
"""
