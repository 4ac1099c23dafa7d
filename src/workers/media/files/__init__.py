"""The files of a job: found, looked into, and the folders they are made and published in.

- taken in: ``source`` (which file a job means), ``intake`` (with all that is asked of it)
- asked of a file: ``probe`` (what it holds), ``packets`` (its keyframes and frames, as a ``film``
  of ``spans``), ``mp4_index`` (the same from an MP4's own ``boxes``), ``durations``
- made and published: ``workspace``, one holder at a time by ``locks``; ``writing`` brings pieces to
  the disk

Imports ``workers.media.tools`` and what lies below it.
"""
