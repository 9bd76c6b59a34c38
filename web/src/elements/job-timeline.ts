// The time line under the video: scenes, and a slider that keys and screen readers know.

import { html, svg, type TemplateResult } from "lit";
import { timecode } from "../format.ts";
import { Light } from "./light.ts";

/** Drawn in thousandths of the length; the picture is stretched to whatever width there is. */
const WIDTH = 1000;

export class JobTimeline extends Light {
  static override properties = {
    duration_ms: { attribute: false },
    frame_ms: { attribute: false },
    ts_ms: { attribute: false },
    cuts: { attribute: false },
    words: { attribute: false },
  };
  declare duration_ms: number;
  declare frame_ms: number;
  declare ts_ms: number;
  /** Times at which a scene begins, those that are known. */
  declare cuts: readonly number[];
  /** What is on screen now. */
  declare words: string;

  constructor() {
    super();
    this.duration_ms = 0;
    this.frame_ms = 40;
    this.ts_ms = 0;
    this.cuts = [];
    this.words = "";
  }

  override render(): TemplateResult {
    const length = Math.max(1, this.duration_ms);
    const at = (ms: number): number => Math.round((Math.min(ms, length) / length) * WIDTH);
    const edges = [0, ...this.cuts, length];
    return html`<div class="vc-timeline">
      <svg viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true">
        ${edges.slice(0, -1).map((from, i) => {
          const x = at(from);
          const width = Math.max(1, at(edges[i + 1] ?? length) - x);
          return svg`<rect class=${i % 2 ? "is-odd" : "is-even"} x=${x} y="0" width=${width} height="10"></rect>`;
        })}
        <rect class="is-played" x="0" y="0" width=${at(this.ts_ms)} height="10"></rect>
      </svg>
      <input
        type="range"
        min="0"
        .max=${String(Math.ceil(length))}
        .step=${String(this.frame_ms)}
        .value=${String(this.ts_ms)}
        aria-label="Position in the video"
        aria-valuetext=${`${timecode(this.ts_ms)}${this.words ? `, ${this.words}` : ""}`}
        @input=${this.#move}
      />
    </div>`;
  }

  #move(event: Event): void {
    const ts_ms = Number((event.target as HTMLInputElement).value);
    this.dispatchEvent(new CustomEvent("seek", { detail: ts_ms }));
  }
}

customElements.define("vc-timeline", JobTimeline);
