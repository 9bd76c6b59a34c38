// The log of a job, as it is written. The stream is open only while the log can be seen: a browser has few
// connections to one server.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { parsed, urls } from "../api.ts";
import type { LogLine } from "../types.ts";
import { Light } from "./light.ts";

/** More lines than anyone scrolls through; older ones stay on the server. */
const KEPT = 2000;
const LEVELS = ["debug", "info", "warning", "error"] as const;
const BOTTOM_PX = 24;

export class JobLog extends Light {
  static override properties = {
    job_id: {},
    over: { attribute: false },
    lines: { state: true },
    level: { state: true },
    follow: { state: true },
    link: { state: true },
    dropped: { state: true },
  };
  declare job_id: string;
  /** The job has ended. */
  declare over: boolean;
  declare lines: LogLine[];
  declare level: string;
  declare follow: boolean;
  declare link: "open" | "reconnecting" | "ended";
  declare dropped: number;
  #stream: EventSource | null = null;
  #seq = 0;
  #arrived: LogLine[] = [];
  #painting = 0;

  constructor() {
    super();
    this.over = false;
    this.lines = [];
    this.level = "info";
    this.follow = true;
    this.link = "reconnecting";
    this.dropped = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("visibilitychange", () => this.#see(), { signal: this.life });
    this.life.addEventListener("abort", () => this.#close());
  }

  override willUpdate(changed: PropertyValues<this>): void {
    // A retry makes a finished log go on.
    if (changed.has("over") && !this.over && this.link === "ended") this.link = "reconnecting";
    if (changed.has("job_id") || changed.has("over")) this.#see();
  }

  override updated(): void {
    if (!this.follow) return;
    const box = this.querySelector(".vc-log");
    if (box) box.scrollTop = box.scrollHeight;
  }

  override render(): TemplateResult {
    const least = LEVELS.indexOf(this.level as (typeof LEVELS)[number]);
    const shown = this.lines.filter(({ level }) => rank(level) >= least);
    return html`
      <div class="vc-line vc-log-tools">
        <label>Level <span class="select is-small"><select @change=${(event: Event) => (this.level = (event.target as HTMLSelectElement).value)}>
          ${LEVELS.map((level) => html`<option value=${level} ?selected=${level === this.level}>${level}</option>`)}
        </select></span></label>
        <label class="checkbox"><input type="checkbox" .checked=${this.follow} @change=${(event: Event) => (this.follow = (event.target as HTMLInputElement).checked)} /> Follow</label>
        <span class="vc-meta">${this.#words()}</span>
      </div>
      <div class="vc-log" tabindex="0" role="log" aria-label="Log of this job" @scroll=${this.#scrolled}>
        ${this.dropped ? html`<p class="vc-meta">${this.dropped} earlier lines are not shown.</p>` : nothing}
        ${shown.map(
          ({ at, level, message }) =>
            html`<p class="is-${rank(level) >= 3 ? "error" : rank(level) === 2 ? "warning" : "info"}"><time>${clock(at)}</time><b>${level}</b><span>${message}</span></p>`,
        )}
        ${shown.length ? nothing : html`<p class="vc-meta">Nothing was logged${this.lines.length ? " at this level" : " yet"}.</p>`}
      </div>
    `;
  }

  #words(): string {
    if (this.link === "ended") return "complete";
    return this.link === "open" ? "live" : "connecting…";
  }

  #see(): void {
    if (document.hidden || this.link === "ended") this.#close();
    else if (!this.#stream) this.#open();
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = null;
  }

  #open(): void {
    const stream = new EventSource(urls.logs(this.job_id, this.#seq));
    this.#stream = stream;
    stream.addEventListener("open", () => (this.link = "open"));
    stream.addEventListener("error", () => {
      // 204 after the end closes the stream for good; anything else is tried again by the browser.
      this.link = stream.readyState === EventSource.CLOSED && this.over ? "ended" : "reconnecting";
    });
    stream.addEventListener("log", (event: MessageEvent<string>) => this.#take(event, line));
    stream.addEventListener("state", (event: MessageEvent<string>) => this.#take(event, turn));
    stream.addEventListener("end", () => {
      this.link = "ended";
      this.#close();
    });
  }

  #take(event: MessageEvent<string>, read: (seq: number, body: Record<string, unknown>) => LogLine): void {
    const seq = Number(event.lastEventId) || 0;
    if (seq && seq <= this.#seq) return;
    this.#seq = Math.max(this.#seq, seq);
    this.#arrived.push(read(seq, parsed(event.data)));
    // A replay brings thousands of lines at once: one rendering for all that arrived.
    this.#painting ||= requestAnimationFrame(() => {
      this.#painting = 0;
      const all = [...this.lines, ...this.#arrived];
      this.#arrived = [];
      this.dropped += Math.max(0, all.length - KEPT);
      this.lines = all.slice(-KEPT);
    });
  }

  #scrolled(event: Event): void {
    const box = event.target as HTMLElement;
    const bottom = box.scrollHeight - box.scrollTop - box.clientHeight < BOTTOM_PX;
    if (bottom !== this.follow) this.follow = bottom;
  }
}

function rank(level: string): number {
  const found = LEVELS.indexOf(level.toLowerCase() as (typeof LEVELS)[number]);
  return found < 0 ? 1 : found;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
}

function line(seq: number, body: Record<string, unknown>): LogLine {
  const level = text(body["level"]) || "info";
  return { seq, at: text(body["at"]) || null, level, message: text(body["message"] ?? body["msg"] ?? body) };
}

function turn(seq: number, body: Record<string, unknown>): LogLine {
  const status = text(body["status"]);
  const error = body["error"] as { code?: string; detail?: string } | null | undefined;
  const why = error?.code ? `: ${error.code}, ${error.detail ?? ""}` : "";
  const parts = body["parts"] as { hls?: string; context?: string } | undefined;
  const halves = status === "running" && parts?.hls === "succeeded" ? `: streams ready, frame context ${parts.context}` : "";
  const level = status === "failed" ? "error" : "info";
  return { seq, at: text(body["at"]) || null, level, message: `job is ${status}${why || halves}` };
}

function clock(at: string | null): string {
  const time = at ? new Date(at) : null;
  return time && !Number.isNaN(time.valueOf()) ? time.toLocaleTimeString("en-GB") : "";
}

customElements.define("vc-log", JobLog);
