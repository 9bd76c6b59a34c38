"""What a file that is no video looks like: so that the refusal can say it in words."""

from __future__ import annotations

from dataclasses import dataclass

from vidcompute.errors import NoVideo, UnsupportedMedia

#: How much of the file is looked at, in bytes.
HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Look:
    """What the first bytes say: a sentence, and what to do."""

    detail: str
    hint: str | None = None
    still: bool = False

    def error(self) -> UnsupportedMedia:
        """This look as the error that refuses the file."""
        return (NoVideo if self.still else UnsupportedMedia)(self.detail, hint=self.hint)


_PLAYLIST_HINT = "Submit the media file itself: playlists name other files, and those are never opened."
_BARE = Look(
    "The file is a bare stream of coded pictures without timestamps (raw MPEG, H.264 or H.265).",
    "Wrap it first, with its rate: ffmpeg -r 30 -i FILE -c copy wrapped.mp4",
)
_FLASH = Look("The file is a Flash program (SWF), not a video.", "Export it as video from the tool that made it.")
_STILLS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_OTHERS = {
    b"#EXTM3U": Look("The file is an HLS playlist, not a video.", _PLAYLIST_HINT),
    b"ffconcat": Look("The file is an ffconcat script, not a video.", _PLAYLIST_HINT),
    b"[playlist]": Look("The file is a playlist, not a video.", _PLAYLIST_HINT),
    b"version https://git-lfs": Look(
        "The file is a Git LFS pointer, not the video that it stands for.", "Run `git lfs pull` and submit it again."
    ),
    b"%PDF": Look("The file is a PDF document, not a video."),
    b"PK\x03\x04": Look("The file is a ZIP archive, not a video.", "Unpack it and submit the video inside."),
    b"\x1f\x8b": Look("The file is gzip-compressed.", "Unpack it and submit the video inside."),
    b"7z\xbc\xaf\x27\x1c": Look("The file is a 7z archive, not a video.", "Unpack it and submit the video inside."),
    b"Rar!": Look("The file is a RAR archive, not a video.", "Unpack it and submit the video inside."),
    b"\x00\x00\x00\x01": _BARE,  # H.264 and H.265
    b"\x00\x00\x01": _BARE,  # MPEG-1, -2 and -4; program streams were recognised before
    b"FWS": _FLASH,
    b"CWS": _FLASH,
    b"ZWS": _FLASH,
    b"MZ": Look("The file is a Windows program, not a video."),
    b"\x7fELF": Look("The file is a program, not a video."),
}


def look(head: bytes, size_bytes: int) -> Look:
    """Judges the first `HEAD_BYTES` of a file that no demuxer took."""
    if size_bytes == 0:
        return Look("The file is empty (0 bytes).", "Check that the upload or export finished, and submit it again.")
    for magic, name in _STILLS.items():
        if head.startswith(magic):
            return Look(f"The file is a still image ({name}).", still=True)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Look("The file is a WebP image.", still=True)
    # Before the start codes: the size of a first box may look like one.
    if head[4:8] in {b"ftyp", b"styp", b"sidx", b"moov", b"mdat", b"free", b"wide", b"moof"}:
        return Look(
            "The file is MP4 or QuickTime, but its index (the moov box) is missing or damaged.",
            "The recording was probably cut off or not finished; repair it, or export it again.",
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, other in _OTHERS.items():
        if text.startswith(magic) or head.startswith(magic):
            return other
    return _text(text) or Look(f"No known video container was recognised in the file's {size_bytes} bytes.")


def _text(head: bytes) -> Look | None:
    lowered = head[:HEAD_BYTES].lower()
    if lowered.startswith((b"<!doctype html", b"<html")):
        return Look("The file is a web page, not a video.", "Use the address of the video file, not of its page.")
    if lowered.startswith((b"<?xml", b"<mpd", b"<smil")):
        return Look("The file is an XML document (a DASH manifest, perhaps), not a video.", _PLAYLIST_HINT)
    if head and all(byte >= 0x20 or byte in b"\t\r\n" for byte in head):
        return Look("The file is text, not a video.")
    return None
