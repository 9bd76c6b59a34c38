"""Saying what a file is that is no video."""

from __future__ import annotations

import pytest

from vidcompute.errors import NoVideo, UnsupportedMedia
from vidcompute.media.sniff import look


@pytest.mark.parametrize(
    ("head", "kind", "words"),
    [
        (b"", UnsupportedMedia, "empty (0 bytes)"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", NoVideo, "still image (JPEG)"),
        (b"\x89PNG\r\n\x1a\n\x00", NoVideo, "still image (PNG)"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", NoVideo, "WebP image"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", UnsupportedMedia, "HLS playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n", UnsupportedMedia, "HLS playlist"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", UnsupportedMedia, "ffconcat script"),
        (b"<?xml version='1.0'?><MPD>", UnsupportedMedia, "XML document"),
        (b"<!DOCTYPE html><html>", UnsupportedMedia, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", UnsupportedMedia, "Git LFS pointer"),
        (b"\x00\x00\x00\x18ftypisom", UnsupportedMedia, "index (the moov box) is missing"),
        (b"\x00\x00\x01\x98moof\x00", UnsupportedMedia, "index (the moov box) is missing"),
        (b"\x00\x00\x00\x01\x67\x64", UnsupportedMedia, "without timestamps"),
        (b"\x00\x00\x01\xb3\x14\x00", UnsupportedMedia, "without timestamps"),
        (b"CWS\x0a\x00\x10", UnsupportedMedia, "Flash program"),
        (b"MZ\x90\x00\x03", UnsupportedMedia, "Windows program"),
        (b"\x7fELF\x02\x01", UnsupportedMedia, "a program, not"),
        (b"PK\x03\x04\x14\x00", UnsupportedMedia, "ZIP archive"),
        (b"hello, world\n", UnsupportedMedia, "text, not a video"),
        (b"\x00\x01\x02\x03", UnsupportedMedia, "No known video container"),
    ],
)
def test_refusal_names_what_the_bytes_are(head, kind, words):
    error = look(head, len(head)).error()

    assert type(error) is kind
    assert words in error.detail
    assert error.hint


def test_raw_pictures_are_refused_with_the_cure():
    assert "ffmpeg -r 30 -i FILE -c copy" in look(b"\x00\x00\x00\x01\x67", 5).error().hint
