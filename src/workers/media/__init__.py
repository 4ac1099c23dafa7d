"""What the media processors stand on: yt-dlp, ffmpeg and the folders they write."""
