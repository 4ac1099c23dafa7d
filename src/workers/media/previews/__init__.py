"""Previews: what is made of a film so that people see at a glance what it is.

- asked for: ``wishes``
- decided: ``samples`` (which moments), ``posters`` (which picture), ``sprites`` (which sheet)
- made, in the ``studio``: ``clipping`` (the clip, the moving picture), ``posing`` (the poster),
  ``tiling`` (the sheet), ``sounding`` (of a sound, its ``waveform``); ``preview_commands`` spells
  the command lines

Imports ``workers.media.files``, ``workers.media.tools`` and what lies below them.
"""
