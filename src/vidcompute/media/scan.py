"""One pass over a file's packets, decoding nothing: when each picture is shown, and how long sound lasts."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidcompute.errors import LimitExceeded
from vidcompute.media.sieve import Sieve, Stamp

AnyPacket: TypeAlias = "Packet[Stream]"

#: Packets kept for the trial decode, per video stream.
SAMPLE_PACKETS = 48
SAMPLE_BYTES = 48 << 20

#: The clock is looked at once per so many packets.
_CHECK_EVERY = 2048

#: libavformat/avformat.h
_TS_DISCONT = 0x0200

_JUMP_S = Fraction(10)
_USUAL_TIME_BASE = Fraction(1, 90_000)
_BACK_S = Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """What is refused before anything is decoded."""

    max_pixels: int = 8192 * 4320
    max_duration_s: float = 24 * 3600.0
    max_streams: int = 64
    max_size_bytes: int = 1 << 40
    max_packets: int = 10_000_000
    timeout_s: float = 120.0


@dataclass(slots=True)
class Tally:
    """What the packets of one stream say."""

    stream: Stream
    #: Where the format's clock may not jump, times that do are looked at twice.
    sieve: Sieve | None = None
    #: One entry per picture that is shown, in file order; empty for sound.
    pts: array[int] = field(default_factory=lambda: array("q"))
    first_pts: int | None = None
    last_pts: int | None = None
    #: Length of the packet at `last_pts` in ticks, 0 if unknown.
    last_ticks: int = 0
    bytes: int = 0
    untimed: int = 0
    encrypted: bool = False
    seen_key: bool = False
    #: The first packets, for a trial decode.
    sample: list[AnyPacket] = field(default_factory=list)
    sample_bytes: int = 0

    def add(self, packet: AnyPacket, hidden: Callable[[AnyPacket], bool], *, moved_ticks: int = 0) -> None:
        """Counts one packet, whose time is `moved_ticks` later than it says."""
        self.bytes += packet.size
        self._keep(packet)
        if packet.is_keyframe and not self.seen_key:
            # A recording that was cut out of a broadcast begins with pictures that nothing can decode.
            self.seen_key = True
            del self.pts[:]
            self.first_pts = self.last_pts = None
            self.untimed = 0
            if self.sieve is not None:
                self.sieve.restart()
        if packet.is_discard or hidden(packet):
            return
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            self.untimed += 1
            return
        order = packet.dts if packet.dts is not None else pts
        stamp = Stamp(order, pts + moved_ticks, packet.duration or 0)
        for good in [stamp] if self.sieve is None else self.sieve.sift(stamp):
            self._count(good)

    def finish(self) -> None:
        """Call after the last packet."""
        for held in self.sieve.flush() if self.sieve is not None else []:
            self._count(held)

    @property
    def strays(self) -> int:
        """Packets whose time is damaged."""
        return self.sieve.strays if self.sieve is not None else 0

    def _count(self, stamp: Stamp) -> None:
        if self.first_pts is None:
            # Pictures before the first that has a time have none that could be told from it.
            self.untimed = 0
        if self.stream.type == "video":
            self.pts.append(stamp.pts)
        if self.first_pts is None or stamp.pts < self.first_pts:
            self.first_pts = stamp.pts
        if self.last_pts is None or stamp.pts >= self.last_pts:
            self.last_pts = stamp.pts
            self.last_ticks = stamp.ticks

    def _keep(self, packet: AnyPacket) -> None:
        if len(self.sample) < SAMPLE_PACKETS and self.sample_bytes < SAMPLE_BYTES:
            self.sample.append(packet)
            self.sample_bytes += packet.size
            self.encrypted = self.encrypted or packet.has_sidedata("encryption_info")


@dataclass(slots=True)
class Clock:
    """Puts the parts of one stream end to end whose clock jumps, as ffmpeg does when it is not told to copy time.

    Broadcast containers allow it: recordings are joined by joining bytes. A jump is 10 s in either direction
    (ffmpeg's dts_delta_threshold), or back by more than a tenth of a second. Each stream has a clock of its own,
    because each is read by a command of its own: sound of the first part may come after pictures of the second.
    """

    last: Fraction | None = None
    expected: Fraction = Fraction(0)
    moved_s: Fraction = Fraction(0)
    jumps: int = 0

    def moved_ticks(self, packet: AnyPacket) -> int:
        """How far this packet has to be moved, in its own ticks."""
        time_base = packet.time_base
        if packet.dts is None or time_base is None:
            return 0
        at = packet.dts * time_base + self.moved_s
        if self.last is not None and (abs(at - self.expected) > _JUMP_S or at + _BACK_S < self.last):
            self.moved_s += self.expected - at
            self.jumps += 1
            at = self.expected
        self.last, self.expected = at, at + (packet.duration or 0) * time_base
        return round(self.moved_s / time_base) if self.jumps else 0


@dataclass(frozen=True, slots=True)
class Scan:
    """All tallies, by stream index; `broken` tells that the file ended in the middle of something."""

    tallies: dict[int, Tally]
    broken: bool
    #: How often the file's clock jumped.
    jumps: int


def scan(
    container: InputContainer,
    streams: Iterable[Stream],
    limits: ProbeLimits,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Scan:
    """Reads every packet of `streams`. Raises LimitExceeded when there are too many, or it takes too long."""
    joinable = _joinable(container)
    tallies = {stream.index: Tally(stream, None if joinable else _sieve(stream)) for stream in streams}
    hiding = {index: _hidden_test(tally.stream) for index, tally in tallies.items()}
    clocks = {index: Clock() for index in tallies} if joinable else {}
    deadline = clock() + limits.timeout_s
    broken = False
    try:
        for count, packet in enumerate(container.demux([tally.stream for tally in tallies.values()])):
            if packet.size:
                index = packet.stream_index
                moved = clocks[index].moved_ticks(packet) if clocks else 0
                tallies[index].add(packet, hiding[index], moved_ticks=moved)
            if count % _CHECK_EVERY == 0:
                _check(count, late=clock() > deadline, limits=limits)
    except (av.FFmpegError, EOFError):
        # What was read before the damage still counts: half a film is better than none, and is said to be half.
        broken = True
    for tally in tallies.values():
        tally.finish()
    return Scan(tallies, broken, max((joined.jumps for joined in clocks.values()), default=0))


def _joinable(container: InputContainer) -> bool:
    """Whether the format's clock may jump (AVFMT_TS_DISCONT)."""
    return bool(container.format.flags & _TS_DISCONT)


def _sieve(stream: Stream) -> Sieve:
    return Sieve(far=round(_JUMP_S / (stream.time_base or _USUAL_TIME_BASE)))


def _check(count: int, *, late: bool, limits: ProbeLimits) -> None:
    if count > limits.max_packets:
        raise LimitExceeded(f"The file holds more than {limits.max_packets} packets.")
    if late:
        raise LimitExceeded(f"Reading the file's index took longer than {limits.timeout_s:.0f} s.")


def _hidden_test(stream: Stream) -> Callable[[AnyPacket], bool]:
    """Whether a packet carries no picture of its own to show (VP8 and VP9 reference frames), by its first byte."""
    context = getattr(stream, "codec_context", None)
    name = context.name if context is not None else ""
    if name in {"vp8", "libvpx"}:
        # RFC 6386 §9.1: bit 4 of the frame tag is show_frame.
        return lambda packet: not memoryview(packet)[0] >> 4 & 1
    if name in {"vp9", "libvpx-vp9"}:
        return _vp9_hidden
    return lambda _packet: False


def _vp9_hidden(packet: AnyPacket) -> bool:
    """VP9 bitstream specification §6.2 (uncompressed header) and Annex B (superframes)."""
    data = memoryview(packet)
    if data[-1] & 0xE0 == 0xC0:  # a superframe index: the last frame inside is shown
        return False
    profile = (data[0] >> 5 & 1) | (data[0] >> 3 & 2)
    shift = 1 if profile == 3 else 0  # profile 3 has a reserved bit before the flags
    show_existing = data[0] >> (3 - shift) & 1
    show = data[0] >> (1 - shift) & 1
    return not show_existing and not show
