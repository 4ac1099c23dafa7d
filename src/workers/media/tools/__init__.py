"""The programs that media jobs run: found, spelled out, confined, watched and ended.

- ``binaries`` finds ffmpeg, ``ffmpeg`` spells its command lines (the one file that knows
  ffmpeg-python), ``limits`` says what it is not to take, ``threads`` how many it may have
- ``tool`` runs any child process; ``confinement`` says what it may touch, ``landlock`` sees to it,
  ``children`` starts it, ``room`` watches the disk meanwhile
- ``conversion`` is a run of ffmpeg with its progress; ``rehearsal`` tries one for ``doctor``,
  ``demo_clip`` makes a film for demos

Imports nothing of ``workers.media`` but faults, settings and amounts.
"""
