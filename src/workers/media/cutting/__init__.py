"""Cutting a film into pieces that keep their limits.

- asked for: ``order``, which reads ``ranges``; ``detection`` finds where a film asks to be cut
- decided: ``plans`` (where it is cut) and ``verdicts`` (whether what was made will do), both told
  in ``cuts``; ``containers`` (what the pieces are wrapped in)
- done: ``making``, in ``passes`` that take their ``courses``; ``exact`` cuts on the frame

Imports ``workers.media.files``, ``workers.media.tools`` and what lies below them.
"""
