"""What the media processors stand on: yt-dlp, ffmpeg and the folders they write.

- decided purely: ``cuts`` ``samples`` ``containers`` ``faults`` ``fetch_faults``
- cutting: ``order`` (what a job asks for; ``ranges`` ``presets`` ``spans``), ``plans`` (where it
  is cut), ``passes`` ``courses`` (how), ``verdicts`` (whether it is right), ``cuts`` (the words);
  done by ``cutting``, ``detection`` and ``durations``
- asked of a file: ``probe`` (what it holds), ``packets`` (where its keyframes are)
- run: ``tool`` (any child process), ``conversion`` (ffmpeg with progress), ``downloader`` and its
  child ``fetch``, which speak ``wire``
- found and written: ``binaries`` ``settings`` ``source`` ``workspace`` ``locks``; a source is taken
  in by ``intake``, within ``limits`` and ``room``
- held: ``confinement`` says what a tool may touch, ``landlock`` sees to it, ``children`` starts it,
  ``threads`` bounds ffmpeg; ``rehearsal`` tries it for ``doctor``
- spelled out: ``ffmpeg``, every command line we use
"""
