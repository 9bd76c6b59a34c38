"""Which containers are opened at all, and how far they are read before their streams count as known."""

from __future__ import annotations

#: Demuxers that hold moving pictures in one file. Playlists and scripts (hls, dash, concat, …) are absent because
#: they make the reader open other files; raw streams because they have no timestamps.
VIDEO_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,mxf,ogg,gif,apng,ivf,nut,dv,rm,yuv4mpegpipe"
)
#: Recognised only so that the refusal can say "sound alone".
SOUND_DEMUXERS = "mp3,aac,wav,flac,aiff,amr,ac3,eac3"

#: How much is read before the streams count as known. ffmpeg gets the same numbers, or the two might disagree.
PROBE_BYTES = 20_000_000
ANALYZE_US = 15_000_000
