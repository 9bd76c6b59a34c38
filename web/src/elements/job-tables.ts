// Renditions and attempts of a job.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { api } from "../api.ts";
import { bitrate, bytes, duration } from "../format.ts";
import type { Attempt, Evidence, Job, JobStatus } from "../types.ts";
import { icon } from "./icons.ts";
import { Light, reason } from "./light.ts";

export class Renditions extends Light {
  static override properties = { job: { attribute: false } };
  declare job: Job;

  override render(): TemplateResult {
    const { renditions, parts } = this.job;
    if (!renditions.length) return html`<p class="vc-meta">There are no renditions yet.</p>`;
    return html`<div class="vc-scroll" tabindex="0" role="region" aria-label="Renditions">
        <table class="table is-fullwidth">
          <thead>
            <tr>
              <th>Name</th>
              <th>Size</th>
              <th>Codec</th>
              <th class="is-number">Bit rate</th>
              <th class="is-number">Bytes</th>
              <th class="is-number">VMAF</th>
            </tr>
          </thead>
          <tbody>
            ${renditions.map(
              (item) => html`<tr>
                <td>${item.name}</td>
                <td>${item.width}×${item.height}</td>
                <td><code>${item.codec}</code></td>
                <td class="is-number">${item.bitrate === null ? "–" : bitrate(item.bitrate)}</td>
                <td class="is-number">${item.bytes === null ? "–" : bytes(item.bytes)}</td>
                <td class="is-number">${item.vmaf === null ? "–" : item.vmaf.toFixed(1)}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <p class="vc-links">
        ${parts.hls.url ? html`<a href=${parts.hls.url}>${icon("link")}HLS playlist</a>` : nothing}
        ${parts.hls.dash_url ? html`<a href=${parts.hls.dash_url}>${icon("link")}DASH manifest</a>` : nothing}
      </p>`;
  }
}

export class Attempts extends Light {
  static override properties = {
    job_id: {},
    attempt: { attribute: false },
    status: {},
    attempts: { state: true },
    failure: { state: true },
  };
  declare job_id: string;
  declare attempt: number;
  declare status: JobStatus;
  declare attempts: Attempt[] | null;
  declare failure: string;

  constructor() {
    super();
    this.attempts = null;
    this.failure = "";
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("job_id") || changed.has("attempt") || changed.has("status")) void this.#load();
  }

  override render(): TemplateResult {
    if (this.failure) return html`<p class="vc-fault">${this.failure}</p>`;
    if (!this.attempts) return html`<p class="vc-waiting">Loading…</p>`;
    if (!this.attempts.length) return html`<p class="vc-meta">It was not started yet.</p>`;
    return html`<ol class="vc-attempts">
      ${[...this.attempts].reverse().map((attempt) => one(attempt))}
    </ol>`;
  }

  async #load(): Promise<void> {
    try {
      this.attempts = await api.attempts(this.job_id);
      this.failure = "";
    } catch (error) {
      this.failure = reason(error);
    }
  }
}

function one(attempt: Attempt): TemplateResult {
  const { problem } = attempt;
  const seconds = attempt.finished_at
    ? (Date.parse(attempt.finished_at) - Date.parse(attempt.started_at)) / 1000
    : null;
  const meta = [
    new Date(attempt.started_at).toLocaleString(),
    attempt.node ? `on ${attempt.node}` : "",
    seconds === null ? "" : duration(seconds),
    attempt.counted === false && problem ? "does not count as a failure" : "",
  ].filter(Boolean);
  return html`<li class="vc-card">
    <h3>Attempt ${attempt.attempt}: ${attempt.outcome ?? "running"}</h3>
    <p class="vc-meta">${meta.join(" · ")}</p>
    ${problem
      ? html`<p class="vc-why"><code>${problem.code}</code> ${problem.detail}</p>
          ${problem.hint ? html`<p>${problem.hint}</p>` : nothing} ${problem.evidence ? evidence(problem.evidence) : nothing}`
      : nothing}
  </li>`;
}

function evidence({ argv, exit_code, stderr_tail, ...rest }: Evidence): TemplateResult {
  const tail = Array.isArray(stderr_tail) ? stderr_tail.join("\n") : stderr_tail;
  return html`
    ${exit_code === undefined || exit_code === null ? nothing : html`<p class="vc-meta">exit code ${exit_code}</p>`}
    ${tail ? html`<pre class="vc-json" tabindex="0" aria-label="Last lines of its output">${tail}</pre>` : nothing}
    ${argv?.length
      ? html`<details>
          <summary>Command</summary>
          <pre class="vc-json" tabindex="0">${argv.join(" ")}</pre>
        </details>`
      : nothing}
    ${Object.keys(rest).length
      ? html`<details>
          <summary>More evidence</summary>
          <pre class="vc-json" tabindex="0">${JSON.stringify(rest, null, 2)}</pre>
        </details>`
      : nothing}
  `;
}

customElements.define("vc-renditions", Renditions);
customElements.define("vc-attempts", Attempts);
