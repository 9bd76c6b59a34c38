// The video: adaptive streaming by hls.js, loaded when the first video is opened.
//
// The full build, not hls.js/light: light knows no audio groups, and our sound is one.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import type Hls from "hls.js";
import type { Events } from "hls.js";
import { icon } from "./icons.ts";
import { Light } from "./light.ts";

const HLS_TYPE = "application/vnd.apple.mpegurl";
const PATIENCE_MS = 600;
const TAIL_S = 2;
/** Enough sound for the browser to call the seek done. */
const BACK_S = 0.3;

interface Choice {
  level: number;
  words: string;
}

export class JobPlayer extends Light {
  static override properties = {
    src: {},
    poster: {},
    start_ms: { attribute: false },
    frame_ms: { attribute: false },
    choices: { state: true },
    chosen: { state: true },
    playing: { state: true },
    failure: { state: true },
  };
  declare src: string | null;
  declare poster: string | null;
  declare start_ms: number;
  /** Length of one frame, to aim at its middle: the very edge belongs to either neighbour. */
  declare frame_ms: number;
  declare choices: Choice[];
  /** -1 is automatic. */
  declare chosen: number;
  declare playing: number;
  declare failure: string;
  #hls: Hls | null = null;
  /** Media time of the first frame, in seconds: with B-frames a stream may begin a few frames late. */
  #offset_s = 0;
  /** Where the playhead was last sent, until playback takes it away from there. */
  #aim_ms: number | null = null;
  #patience = 0;

  constructor() {
    super();
    this.src = null;
    this.poster = null;
    this.start_ms = 0;
    this.frame_ms = 40;
    this.choices = [];
    this.chosen = -1;
    this.playing = -1;
    this.failure = "";
  }

  override render(): TemplateResult {
    return html`<div class="vc-screen">
        <video
          controls
          playsinline
          preload="metadata"
          poster=${this.poster ?? nothing}
          @loadedmetadata=${this.#started}
          @timeupdate=${this.#timed}
          @playing=${() => (this.#aim_ms = null)}
          @error=${this.#failed}
        ></video>
        ${this.failure ? html`<p class="vc-screen-fault" role="alert">${icon("alert")}<span>${this.failure}</span></p>` : nothing}
      </div>
      ${this.choices.length > 1
        ? html`<label class="vc-quality"
            >Quality
            <span class="select is-small">
              <select @change=${this.#choose}>
                <option value="-1" ?selected=${this.chosen === -1}>
                  auto${this.chosen === -1 && this.#words(this.playing) ? ` (${this.#words(this.playing)})` : ""}
                </option>
                ${this.choices.map(
                  ({ level, words }) => html`<option value=${level} ?selected=${this.chosen === level}>${words}</option>`,
                )}
              </select>
            </span></label
          >`
        : nothing} `;
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has("src") && this.src) void this.#open(this.src);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.#patience);
    this.#hls?.destroy();
    this.#hls = null;
  }

  /** Shows the frame that is on screen at `ts_ms` of the frame rows. */
  seek(ts_ms: number): void {
    const video = this.#video;
    this.#aim_ms = ts_ms;
    if (!video) return;
    video.currentTime = (ts_ms + this.frame_ms / 2) / 1000 + this.#offset_s;
    clearTimeout(this.#patience);
    this.#patience = window.setTimeout(() => this.#unstick(video, ts_ms), PATIENCE_MS);
  }

  /** Sound often ends before the picture. A seek behind its end hangs until hls.js has closed the stream, which it
   *  does only with the playhead inside: go there first, then on to the aim. */
  #unstick(video: HTMLVideoElement, aim_ms: number): void {
    const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : Infinity;
    const hangs = video.seeking && video.currentTime > end && video.duration - end < TAIL_S;
    if (!hangs || !this.#hls || this.#aim_ms !== aim_ms) return;
    this.#hls.once("hlsBufferedToEnd" as Events.BUFFERED_TO_END, () => this.#aim_ms === aim_ms && this.seek(aim_ms));
    video.currentTime = end - BACK_S;
  }

  get #video(): HTMLVideoElement | null {
    return this.querySelector("video");
  }

  async #open(src: string): Promise<void> {
    const video = this.#video;
    if (!video) return;
    this.#hls?.destroy();
    this.#hls = null;
    this.failure = "";
    if ("MediaSource" in window || "ManagedMediaSource" in window) {
      const { default: Library } = await import("hls.js");
      if (this.life.aborted || this.src !== src) return;
      if (Library.isSupported()) {
        this.#hls = this.#attach(Library, video, src);
        this.#watch(video);
        return;
      }
    }
    if (!video.canPlayType(HLS_TYPE)) {
      this.failure = "This browser plays no adaptive streams. Try a current Chrome, Edge, Firefox or Safari.";
      return;
    }
    video.src = src;
    this.#watch(video);
  }

  #attach(Library: typeof Hls, video: HTMLVideoElement, src: string): Hls {
    if (this.start_ms) this.#aim_ms = this.start_ms;
    const hls = new Library({
      // Fragmented MP4 needs no remuxing, so a worker has nothing to do.
      enableWorker: false,
      // 4K into a small frame wastes the network and the decoder.
      capLevelToPlayerSize: true,
      startPosition: this.start_ms ? (this.start_ms + this.frame_ms / 2) / 1000 : -1,
    });
    const { Events, ErrorTypes } = Library;
    hls.on(Events.MANIFEST_PARSED, (_, { levels }) => {
      this.choices = levels
        .map(({ height, width, bitrate }, level) => ({ level, size: Math.min(height, width), bitrate }))
        .sort((a, b) => b.size - a.size || b.bitrate - a.bitrate)
        .map(({ level, size }) => ({ level, words: `${size}p` }));
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => (this.playing = level));
    hls.on(Events.FRAG_BUFFERED, (_, { frag }) => {
      const { video, audiovideo } = frag.elementaryStreams;
      const stream = video ?? audiovideo;
      // hls.js lays decode times along the playlist, so pictures appear later by the delay of reordering. (Not
      // startPTS - frag.start: frag.start is moved to startPTS once the fragment was read.)
      if (stream && frag.type === "main") this.#shift(stream.startPTS - stream.startDTS);
    });
    let rescued = false;
    hls.on(Events.ERROR, (_, { fatal, type, details }) => {
      if (!fatal) return;
      if (type === ErrorTypes.MEDIA_ERROR && !rescued) {
        rescued = true;
        hls.recoverMediaError();
        return;
      }
      this.failure = `The stream could not be played (${details}).`;
    });
    hls.loadSource(src);
    hls.attachMedia(video);
    return hls;
  }

  #started(): void {
    if (!this.#hls && this.start_ms && this.#aim_ms === null) this.seek(this.start_ms);
  }

  #shift(offset_s: number): void {
    if (Math.abs(offset_s - this.#offset_s) < 0.001) return;
    this.#offset_s = offset_s;
    // It was aimed before the offset was known.
    if (this.#aim_ms !== null) this.seek(this.#aim_ms);
  }

  /** Tells which frame is on screen. `timeupdate` alone comes four times a second: far too coarse for frames. */
  #watch(video: HTMLVideoElement): void {
    if (!("requestVideoFrameCallback" in video)) return;
    const shown: VideoFrameRequestCallback = (_, { mediaTime }) => {
      if (this.life.aborted) return;
      this.#tell(mediaTime);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  }

  #timed(): void {
    const video = this.#video;
    if (video && !("requestVideoFrameCallback" in video)) this.#tell((video as HTMLVideoElement).currentTime);
  }

  #tell(mediaTime_s: number): void {
    // A third of a frame: media times are rounded, and a row must not be missed by a microsecond.
    const ts_ms = Math.max(0, (mediaTime_s - this.#offset_s) * 1000 + this.frame_ms / 3);
    this.dispatchEvent(new CustomEvent("shown", { detail: ts_ms }));
  }

  #failed(): void {
    if (!this.#hls) this.failure = "The stream could not be played by this browser.";
  }

  #choose(event: Event): void {
    this.chosen = Number((event.target as HTMLSelectElement).value);
    if (this.#hls) this.#hls.currentLevel = this.chosen;
  }

  #words(level: number): string {
    return this.choices.find((choice) => choice.level === level)?.words ?? "";
  }
}

customElements.define("vc-player", JobPlayer);
