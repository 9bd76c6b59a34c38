// What was seen, frame after frame, in step with the playhead.

import { html, nothing, svg, type PropertyValues, type TemplateResult } from "lit";
import { urls } from "../api.ts";
import { timecode } from "../format.ts";
import { rowAt, stretches, type Stretch } from "../frames.ts";
import type { Context, FrameRow } from "../types.ts";
import { Light } from "./light.ts";

/** Scrolled this close to an end, the list asks for more. */
const NEAR_PX = 300;

export class JobContext extends Light {
  static override properties = {
    job_id: {},
    rows: { attribute: false },
    ts_ms: { attribute: false },
    failure: { attribute: false },
    follow: { state: true },
  };
  declare job_id: string;
  declare rows: readonly FrameRow[];
  declare ts_ms: number;
  declare failure: string;
  declare follow: boolean;
  #stretches: Stretch[] = [];
  #current: FrameRow | undefined;
  #shown: number | undefined;

  constructor() {
    super();
    this.rows = [];
    this.ts_ms = 0;
    this.failure = "";
    this.follow = true;
  }

  protected override shouldUpdate(changed: PropertyValues<this>): boolean {
    if (changed.has("rows")) this.#stretches = stretches(this.rows);
    const row = this.rows[rowAt(this.rows, this.ts_ms)];
    const moved = row !== this.#current;
    this.#current = row;
    // Thirty times a second the playhead moves: only another frame is worth a new rendering.
    return moved || [...changed.keys()].some((key) => key !== "ts_ms");
  }

  override render(): TemplateResult {
    return html`<section class="vc-context" aria-label="What was seen">
      <header>
        <h2>Frame context</h2>
        ${this.follow
          ? html`<span class="vc-meta">follows the video</span>`
          : html`<button type="button" class="button is-small" @click=${this.#back}>Back to now</button>`}
      </header>
      ${this.failure ? html`<p class="vc-fault">${this.failure}</p>` : nothing}
      <ol tabindex="0" aria-label="Descriptions in order of time" @scroll=${this.#scrolled} @wheel=${this.#free} @pointerdown=${this.#free} @keydown=${this.#keyed}>
        ${this.#stretches.map((stretch) => this.#entry(stretch))}
      </ol>
    </section>`;
  }

  override updated(): void {
    if (!this.follow) return;
    const list = this.querySelector("ol");
    const entry = list?.querySelector<HTMLElement>(".is-now");
    if (!list || !entry || this.#shown === entry.offsetTop) return;
    this.#shown = entry.offsetTop;
    // Not scrollIntoView: that would move the page as well, away from the video.
    list.scrollTop = entry.offsetTop - list.clientHeight / 3;
  }

  #entry({ description, scene_no, rows }: Stretch): TemplateResult {
    const first = rows[0] as FrameRow;
    const last = rows.at(-1) as FrameRow;
    const current = this.#current;
    const now = current && current.frame_no >= first.frame_no && current.frame_no <= last.frame_no ? current : null;
    const context = description?.context;
    return html`<li class=${now ? "is-now" : ""} aria-current=${now ? "true" : nothing}>
      <button type="button" @click=${() => this.#seek(first.ts_ms)}>
        <img src=${urls.frameImage(this.job_id, first.frame_no)} alt="" loading="lazy" decoding="async" />
        <span class="vc-said">
          <span class="vc-meta"
            ><b>${timecode(first.ts_ms)}</b> · scene ${scene_no} ·
            ${now ? html`<b class="vc-frame">frame ${now.frame_no}</b>` : `${rows.length} ${rows.length === 1 ? "frame" : "frames"}`}</span
          >
          <span>${context?.summary || (description ? "No summary." : "Not described yet.")}</span>
          ${context ? details(context) : nothing}
        </span>
      </button>
    </li>`;
  }

  #seek(ts_ms: number): void {
    this.follow = true;
    this.dispatchEvent(new CustomEvent("seek", { detail: ts_ms }));
  }

  #back(): void {
    this.#shown = undefined;
    this.follow = true;
  }

  /** A hand on the list means reading: following would pull it away. */
  #free(event: Event): void {
    if (event.type === "pointerdown" && (event.target as Element).closest("button")) return;
    this.follow = false;
  }

  #keyed(event: KeyboardEvent): void {
    if (["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"].includes(event.key)) this.follow = false;
  }

  #scrolled(event: Event): void {
    const list = event.target as HTMLElement;
    if (list.scrollTop < NEAR_PX && (this.rows[0]?.frame_no ?? 0) > 0) this.#want(-1);
    if (list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX) this.#want(1);
  }

  #want(direction: number): void {
    this.dispatchEvent(new CustomEvent("want", { detail: direction }));
  }
}

/** What is worth saying beside the summary: text that it does not quote, things, and the colours as a strip. */
function details({ summary = "", ocr_text, objects, actions, colors }: Context): TemplateResult {
  const lines = (Array.isArray(ocr_text) ? ocr_text : [ocr_text ?? ""]).filter((line) => line && !summary.includes(line));
  const things = [...(objects ?? []), ...(actions ?? [])].map((thing) => (typeof thing === "string" ? thing : thing.name));
  return html`<span class="vc-tags">
      ${lines.length ? html`<q>${lines.join(" ")}</q>` : nothing}
      ${things.filter(Boolean).map((thing) => html`<span class="tag">${thing}</span>`)}
    </span>
    ${colors?.length ? palette(colors) : nothing}`;
}

function palette(colors: NonNullable<Context["colors"]>): TemplateResult {
  let x = 0;
  return html`<svg class="vc-palette" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
    ${colors
      .filter(({ name }) => /^[a-z]+$/.test(name))
      .map(({ name, share }) => {
        const from = x;
        x += share;
        return svg`<rect x=${from} y="0" width=${share} height="1" fill=${name}></rect>`;
      })}
  </svg>`;
}

customElements.define("vc-context", JobContext);
