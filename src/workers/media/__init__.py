"""What the media processors stand on: yt-dlp, ffmpeg and the folders they write.

- decided purely: ``cuts`` ``samples`` ``containers`` ``faults`` ``fetch_faults``
- asked of a file: ``probe`` (what it holds), ``packets`` (where its keyframes are)
- run: ``tool`` (any child process), ``conversion`` (ffmpeg with progress), ``downloader`` and its
  child ``fetch``, which speak ``wire``
- found and written: ``binaries`` ``settings`` ``source`` ``workspace`` ``locks``
- spelled out: ``ffmpeg``, every command line we use
"""
