"""Downloads, the worker's side: whether, when and with what, and what is kept of what came.

- before: ``dedupe`` (is it here already), ``cookies``, ``politeness`` (is it the site's turn),
  ``javascript`` (what YouTube needs, for ``doctor``)
- meanwhile: ``downloader`` starts the child and listens; they speak ``wire``
- after: ``arrivals`` (what came, looked into), ``continuity`` (streams without holes),
  ``fetch_faults`` (what went wrong)
- known to both sides: ``wire`` ``cookies`` ``origin`` ``playlists``; ``child`` is the other side

Imports ``workers.media.files``, ``workers.media.tools`` and what lies below them; never ``child``,
which is a process of its own.
"""
