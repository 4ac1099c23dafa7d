"""What the media processors stand on: yt-dlp, ffmpeg and the folders they write.

- ``fetching``, ``cutting`` and ``previews`` are the three trades; none knows another
- ``files``: a job's source looked into, its results published
- ``tools``: programs run as confined children
- here: ``readiness`` (has the machine what jobs need), ``settings`` (a pool's options, with
  ``addresses`` ``manners`` ``presets`` ``amounts`` for what they say), ``faults`` (what goes wrong)

Imports point down that list: trades to files to tools to what lies here; ``readiness`` alone is
above them all.
"""
