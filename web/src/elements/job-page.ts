// One job: what it is doing, its video with what was seen in it, and why it failed if it did.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { api, Refused } from "../api.ts";
import { age, duration, parseTime } from "../format.ts";
import type { Change, Live } from "../live.ts";
import { go, paths } from "../router.ts";
import { isOver, type Job, type Warning } from "../types.ts";
import { icon } from "./icons.ts";
import { facts, pace, took } from "./job-row.ts";
import { Light, reason, say } from "./light.ts";
import { jobState, PHASES, state } from "./state.ts";
import "./job-log.ts";
import "./job-tables.ts";
import "./job-watch.ts";
import "./sure-button.ts";

const GATHER_MS = 700;
const TABS = ["renditions", "log", "attempts", "details"] as const;
type Tab = (typeof TABS)[number];

export class JobPage extends Light {
  static override properties = {
    live: { attribute: false },
    job_id: {},
    t: {},
    tab: {},
    job: { state: true },
    failure: { state: true },
    now: { state: true },
  };
  declare live: Live;
  declare job_id: string;
  declare t: string | null;
  declare tab: string | null;
  declare job: Job | null;
  declare failure: unknown;
  declare now: number;
  #gather = 0;

  constructor() {
    super();
    this.t = null;
    this.tab = null;
    this.job = null;
    this.failure = null;
    this.now = Date.now();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "Job · vidcompute";
    const clock = setInterval(() => (this.now = Date.now()), 1000);
    this.life.addEventListener("abort", () => {
      clearInterval(clock);
      clearTimeout(this.#gather);
    });
    this.live.on("change", (change) => this.#changed(change), this.life);
    this.live.on("poll", () => void this.#load(), this.life);
    void this.#load();
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has("job") && this.job) document.title = `${this.job.name} · vidcompute`;
  }

  override render(): TemplateResult {
    const { job } = this;
    if (!job) return this.failure ? this.#missing() : html`<p class="vc-waiting">Loading…</p>`;
    return html`<div class="vc-page">
      ${this.#title(job)} ${job.error ? this.#error(job) : nothing} ${this.#warnings(job.warnings)}
      ${isOver(job.status) ? nothing : this.#progress(job)}
      ${job.parts.hls.playable || job.parts.context.frames
        ? html`<vc-watch .job=${job} .start_ms=${parseTime(this.t)}></vc-watch>`
        : nothing}
      ${this.#tabs(job)}
    </div>`;
  }

  #title(job: Job): TemplateResult {
    const seconds = took(job);
    const length_s = (job.source?.duration_ms ?? 0) / 1000;
    const { tokens, cost_usd } = job.parts.context;
    const meta = [
      facts(job),
      seconds === null ? "" : `took ${duration(seconds)}`,
      seconds && length_s && job.status === "succeeded" ? `${(length_s / seconds).toFixed(1)}× real time` : "",
      tokens ? `${tokens.toLocaleString("en")} tokens` : "",
      cost_usd ? `$${cost_usd.toFixed(3)}` : "",
      `submitted ${age(job.created_at, this.now)}`,
    ].filter(Boolean);
    return html`<div class="vc-title is-job">
      <div>
        <a class="vc-back" href=${paths.jobs()}>${icon("back")}Jobs</a>
        <h1>${job.name}</h1>
        <p class="vc-status">${jobState(job)}<span class="vc-meta">${meta.join(" · ")}</span></p>
      </div>
      <div class="vc-acts">
        ${job.status === "failed" || job.status === "canceled"
          ? html`<button type="button" class="button is-small is-primary" @click=${() => this.#act(() => api.retry(job.id))}>
              ${icon("retry")}<span>Retry</span>
            </button>`
          : nothing}
        ${isOver(job.status)
          ? html`<vc-sure .label=${"Delete"} .about=${job.name} .icon=${"trash"} @sure=${this.#remove}></vc-sure>`
          : html`<vc-sure .label=${"Cancel"} .about=${job.name} .icon=${"stop"} @sure=${() => this.#act(() => api.cancel(job.id))}></vc-sure>`}
      </div>
    </div>`;
  }

  #error(job: Job): TemplateResult | typeof nothing {
    const { error } = job;
    if (!error) return nothing;
    return html`<section class="vc-error" aria-label="Why it failed">
      ${icon("alert")}
      <div>
        <h2>${error.title || "It failed"} <code>${error.code}</code></h2>
        <p>${error.detail}</p>
        ${error.hint ? html`<p class="vc-hint"><b>What to do:</b> ${error.hint}</p>` : nothing}
        <p class="vc-meta">
          ${job.failures} of ${job.max_attempts} attempts failed${job.dead_letter ? "; it is not tried again by itself" : ""}.
          <a href=${paths.job(job.id, { tab: "attempts" })}>See the attempts</a>
        </p>
      </div>
    </section>`;
  }

  #warnings(warnings: readonly Warning[]): TemplateResult | typeof nothing {
    if (!warnings.length) return nothing;
    return html`<section class="vc-warnings" aria-label="Warnings">
      ${icon("alert")}
      <ul>
        ${warnings.map((warning) =>
          typeof warning === "string"
            ? html`<li>${warning}</li>`
            : html`<li>
                ${warning.code ? html`<code>${warning.code}</code> ` : nothing}${warning.detail ?? warning.message ?? ""}
                ${warning.hint ?? ""}
              </li>`,
        )}
      </ul>
    </section>`;
  }

  #progress(job: Job): TemplateResult {
    const at = PHASES.findIndex(({ phase }) => phase === job.phase);
    return html`<section class="vc-card vc-running" aria-label="Progress">
      <ol class="vc-steps">
        ${PHASES.map(
          ({ word }, i) =>
            html`<li class=${i < at ? "is-done" : i === at ? "is-now" : ""} aria-current=${i === at ? "step" : nothing}>${word}</li>`,
        )}
      </ol>
      <div class="vc-bar">
        <progress class="progress" max="100" value=${job.progress.percent} aria-label="Progress"></progress>
        <b>${job.progress.percent.toFixed(0)}%</b>
      </div>
      <p class="vc-meta">
        ${job.status === "running"
          ? `${job.progress.frames ? `frame ${job.progress.frame ?? 0} of ${job.progress.frames} · ` : ""}${pace(job)}`
          : job.queue_position
            ? `${job.queue_position} ahead in the queue`
            : "waiting for a worker"}
      </p>
    </section>`;
  }

  #tabs(job: Job): TemplateResult {
    const fallback: Tab = job.status === "running" || job.status === "queued" ? "log" : job.status === "failed" ? "attempts" : "renditions";
    const tab = TABS.find((name) => name === this.tab) ?? fallback;
    return html`<section class="vc-tabs" aria-label="More about this job">
      <nav class="tabs" aria-label="Parts of this job">
        <ul>
          ${TABS.map(
            (name) => html`<li class=${name === tab ? "is-active" : ""}>
              <a href=${paths.job(job.id, { tab: name })} aria-current=${name === tab ? "true" : nothing}>${name}</a>
            </li>`,
          )}
        </ul>
      </nav>
      ${this.#panel(job, tab)}
    </section>`;
  }

  #panel(job: Job, tab: Tab): TemplateResult {
    switch (tab) {
      case "renditions":
        return html`<vc-renditions .job=${job}></vc-renditions>`;
      case "log":
        return html`<vc-log .job_id=${job.id} .over=${isOver(job.status)}></vc-log>`;
      case "attempts":
        return html`<vc-attempts .job_id=${job.id} .attempt=${job.attempt} .status=${job.status}></vc-attempts>`;
      case "details":
        return html`<p class="vc-status">Streams ${state(job.parts.hls.status)} Frame context ${state(job.parts.context.status)}</p>
          <pre class="vc-json" tabindex="0">${JSON.stringify(job, null, 2)}</pre>`;
    }
  }

  #missing(): TemplateResult {
    const gone = this.failure instanceof Refused && this.failure.status === 404;
    return html`<div class="vc-empty">
      <h1>${gone ? "There is no such job" : "The job could not be loaded"}</h1>
      <p>${reason(this.failure)}</p>
      <p><a class="button is-primary" href=${paths.jobs()}>To the jobs</a></p>
    </div>`;
  }

  #changed({ id, job }: Change): void {
    if (id !== this.job_id) return;
    if (job && job !== "removed") this.job = job;
    else if (!this.#gather) {
      this.#gather = window.setTimeout(() => {
        this.#gather = 0;
        void this.#load();
      }, GATHER_MS);
    }
  }

  async #load(): Promise<void> {
    try {
      this.job = await api.job(this.job_id);
      this.failure = null;
    } catch (error) {
      // A job that is on the page stays there while the server is away; one that was deleted does not.
      if (error instanceof Refused && error.status === 404) this.job = null;
      this.failure = error;
    }
  }

  async #act(action: () => Promise<Job>): Promise<void> {
    try {
      this.job = await action();
    } catch (error) {
      say(this, reason(error), "danger");
      await this.#load();
    }
  }

  async #remove(): Promise<void> {
    try {
      await api.remove(this.job_id);
      go(paths.jobs(), { replace: true });
    } catch (error) {
      say(this, reason(error), "danger");
    }
  }
}

customElements.define("vc-job", JobPage);
