// Video, time line and frame context, moving together.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { api } from "../api.ts";
import { rate, timecode } from "../format.ts";
import { FrameWindows, rowAt, sceneStarts } from "../frames.ts";
import type { FrameRow, Job } from "../types.ts";
import { Light, reason } from "./light.ts";
import "./job-context.ts";
import { JobPlayer } from "./job-player.ts";
import "./job-timeline.ts";

/** A few hundred rows at usual rates: small enough to fetch at once, large enough to scroll in. */
const WINDOW_MS = 10_000;

export class JobWatch extends Light {
  static override properties = {
    job: { attribute: false },
    start_ms: { attribute: false },
    ts_ms: { state: true },
    rows: { state: true },
    failure: { state: true },
  };
  declare job: Job;
  declare start_ms: number | null;
  /** Where the playhead is, in the time of the frame rows. */
  declare ts_ms: number;
  /** The unbroken run of loaded rows around the playhead. */
  declare rows: FrameRow[];
  declare failure: string;
  #windows: FrameWindows | null = null;

  constructor() {
    super();
    this.start_ms = null;
    this.ts_ms = 0;
    this.rows = [];
    this.failure = "";
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("start_ms") && this.start_ms !== null) {
      this.ts_ms = this.start_ms;
      if (this.hasUpdated) this.#player?.seek(this.start_ms);
    }
    if (changed.has("job")) this.#adopt(changed.get("job"));
    if (changed.has("ts_ms")) void this.#ensure(this.ts_ms);
  }

  override render(): TemplateResult {
    const { job } = this;
    const context = Boolean(job.parts.context.frames);
    const frame = this.rows[rowAt(this.rows, this.ts_ms)];
    return html`<div class="vc-watch ${context && job.parts.hls.playable ? "" : "is-single"}">
      ${job.parts.hls.playable
        ? html`<div class="vc-stage">
            <vc-player
              .src=${job.parts.hls.url}
              .poster=${job.poster_url ?? null}
              .start_ms=${this.start_ms ?? 0}
              .frame_ms=${this.#frameMs()}
              @shown=${(event: CustomEvent<number>) => (this.ts_ms = event.detail)}
            ></vc-player>
            <vc-timeline
              .duration_ms=${this.#duration()}
              .frame_ms=${this.#frameMs()}
              .ts_ms=${this.ts_ms}
              .cuts=${sceneStarts(this.#windows?.all() ?? [])}
              .words=${frame?.description?.context.summary ?? ""}
              @seek=${this.#seek}
            ></vc-timeline>
            <p class="vc-meta vc-now">
              <span>${timecode(frame?.ts_ms ?? this.ts_ms)}</span>
              ${frame ? html`<span>frame ${frame.frame_no}</span><span>scene ${frame.scene_no}</span>` : nothing}
            </p>
          </div>`
        : nothing}
      ${context
        ? html`<vc-context
            .job_id=${job.id}
            .rows=${this.rows}
            .ts_ms=${this.ts_ms}
            .failure=${this.failure}
            @seek=${this.#seek}
            @want=${(event: CustomEvent<number>) => void this.#want(event.detail)}
          ></vc-context>`
        : nothing}
    </div>`;
  }

  get #player(): JobPlayer | null {
    return this.querySelector<JobPlayer>("vc-player");
  }

  #duration(): number {
    return this.job.source?.duration_ms ?? 0;
  }

  #frameMs(): number {
    const fps = rate(this.job.source?.fps);
    return fps > 0 && Number.isFinite(fps) ? 1000 / fps : 40;
  }

  /** New rows appear while a job runs: what was loaded is then no longer the whole truth. */
  #adopt(before: Job | undefined): void {
    const { frames, descriptions } = this.job.parts.context;
    const was = before?.parts.context;
    if (this.#windows && was?.frames === frames && was?.descriptions === descriptions) return;
    const { id } = this.job;
    this.#windows = new FrameWindows((from, to) => api.frames(id, from, to), {
      duration_ms: this.#duration(),
      window_ms: WINDOW_MS,
    });
    void this.#ensure(this.ts_ms);
  }

  async #ensure(ts_ms: number): Promise<void> {
    const windows = this.#windows;
    if (!windows || !this.job.parts.context.frames) return;
    const window = windows.windowOf(ts_ms);
    try {
      await windows.load(window);
      // The next one too, so that playback never runs into the dark.
      await windows.load(window + 1);
      this.failure = "";
    } catch (error) {
      this.failure = reason(error);
    }
    const run = windows.run(windows.windowOf(this.ts_ms));
    if (run && windows === this.#windows) {
      const rows = windows.rows(run);
      if (rows.length !== this.rows.length || rows[0] !== this.rows[0]) this.rows = rows;
    }
  }

  /** The list wants the window before (-1) or after (+1) what it shows. */
  async #want(direction: number): Promise<void> {
    const windows = this.#windows;
    const run = windows?.run(windows.windowOf(this.ts_ms));
    if (!windows || !run) return;
    try {
      await windows.load(direction < 0 ? run.first - 1 : run.last + 1);
    } catch (error) {
      this.failure = reason(error);
    }
    const wider = windows.run(run.first);
    if (wider && windows === this.#windows) this.rows = windows.rows(wider);
  }

  #seek(event: CustomEvent<number>): void {
    this.ts_ms = event.detail;
    this.#player?.seek(event.detail);
  }
}

customElements.define("vc-watch", JobWatch);
