// Plays a published stream in the player named by ?player= and keeps what it saw in `window.judge`.
// The test drives it from outside; nothing here decides whether a stream is good.

const LIBRARIES = {
  hls: "node_modules/hls.js/dist/hls.min.js",
  shaka: "node_modules/shaka-player/dist/shaka-player.compiled.js",
  dash: "node_modules/dashjs/dist/modern/umd/dash.all.min.js",
};

const video = document.querySelector("video");
const judge = { errors: [], buffers: [], firstFrameS: null, waits: 0, ended: false, arrived: false };
window.judge = judge;

// The element shows what is common to all tracks; each SourceBuffer tells of its own.
const addSourceBuffer = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (type) {
  const buffer = addSourceBuffer.call(this, type);
  judge.buffers.push({ type, buffer });
  return buffer;
};

video.addEventListener("error", () => judge.errors.push(`element: ${video.error.message}`));
video.addEventListener("waiting", () => judge.waits++);
video.addEventListener("ended", () => (judge.ended = true));
video.requestVideoFrameCallback((_now, frame) => (judge.firstFrameS = frame.mediaTime));

const ranges = (buffered) =>
  Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);

judge.report = () => ({
  errors: judge.errors,
  firstFrameS: judge.firstFrameS,
  waits: judge.waits,
  ended: judge.ended,
  durationS: video.duration,
  currentS: video.currentTime,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
  buffered: ranges(video.buffered),
  tracks: judge.tracks(),
});

judge.tracks = () =>
  Object.fromEntries(judge.buffers.map(({ type, buffer }) => [type.split("/")[0], judge.still(buffer)]));

// A SourceBuffer that its MediaSource has let go of may no longer be asked.
judge.still = (buffer) => {
  try {
    return ranges(buffer.buffered);
  } catch {
    return [];
  }
};

judge.whole = () => video.buffered.length === 1 && video.buffered.end(0) >= video.duration - 0.1;

// These only begin something: the test waits for `judge.ended` or `judge.arrived`, with a limit and a report.
judge.play = (rate) => {
  judge.ended = false;
  video.playbackRate = rate;
  video.play().catch((error) => judge.errors.push(`play: ${error}`));
};

judge.seek = (seconds) => {
  judge.arrived = false;
  video.addEventListener("seeked", () => (judge.arrived = true), { once: true });
  video.currentTime = seconds;
};

const START = {
  async hls(source) {
    const player = new Hls({ maxBufferLength: 600 });
    player.on(Hls.Events.ERROR, (_, data) => {
      // A seek cancels the loads it makes useless, and hls.js reports those as errors too.
      if (data.details !== "aborted") judge.errors.push(`hls.js: ${data.type} ${data.details} ${data.reason ?? ""}`);
    });
    player.loadSource(source);
    player.attachMedia(video);
  },
  async shaka(source) {
    const player = new shaka.Player();
    await player.attach(video);
    player.configure({ streaming: { bufferingGoal: 600 } });
    player.addEventListener("error", ({ detail }) => judge.errors.push(`shaka: ${detail.code} ${detail.data}`));
    await player.load(source);
  },
  async dash(source) {
    const player = dashjs.MediaPlayer().create();
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => judge.errors.push(`dash.js: ${error.code} ${error.message}`));
    player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE }, streaming: { buffer: { bufferTimeDefault: 600 } } });
    player.initialize(video, source, false);
  },
};

const { player, source } = Object.fromEntries(new URLSearchParams(location.search));
const script = document.createElement("script");
script.src = LIBRARIES[player];
script.onload = () => START[player](source).catch((error) => judge.errors.push(`${player}: ${error}`));
document.head.append(script);
