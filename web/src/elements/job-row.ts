// One job in the list.

import { html, nothing, type TemplateResult } from "lit";
import { api } from "../api.ts";
import { age, duration, fps } from "../format.ts";
import { paths } from "../router.ts";
import { isOver, type Job } from "../types.ts";
import { icon } from "./icons.ts";
import { Light, reason, say } from "./light.ts";
import { jobState } from "./state.ts";
import "./sure-button.ts";

/** Before this much is done an ETA is a guess, and wrong guesses are worse than none. */
const ETA_FROM_PERCENT = 5;

/** Speed and time left of a running job, in words. */
export function pace(job: Job): string {
  const { fps: encoded, speed, eta_s, percent } = job.progress;
  return [
    encoded ? `${encoded.toFixed(0)} fps` : "",
    speed ? `${speed.toFixed(1)}×` : "",
    eta_s !== null && eta_s !== undefined && percent >= ETA_FROM_PERCENT ? `${duration(eta_s)} left` : "estimating…",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Size, rate and length of the source, as far as they are known. */
export function facts(job: Job): string {
  const { source } = job;
  if (!source) return "";
  return [
    source.width && source.height ? `${source.width}×${source.height}` : "",
    fps(source.fps),
    source.duration_ms ? duration(source.duration_ms / 1000) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Seconds from start to end; null if it has not both. */
export function took(job: Job): number | null {
  if (!job.started_at || !job.finished_at) return null;
  return (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000;
}

export class JobRow extends Light {
  static override properties = {
    job: { attribute: false },
    now: { attribute: false },
    busy: { state: true },
    blank: { state: true },
  };
  declare job: Job;
  declare now: number;
  declare busy: boolean;
  /** The poster could not be loaded. */
  declare blank: boolean;

  constructor() {
    super();
    this.busy = false;
    this.blank = false;
  }

  override render(): TemplateResult {
    const { job } = this;
    const tags = Object.entries(job.tags);
    return html`
      <a class="vc-thumb" href=${paths.job(job.id)} tabindex="-1" aria-hidden="true">
        ${job.poster_url && !this.blank
          ? html`<img src=${job.poster_url} alt="" loading="lazy" decoding="async" @error=${() => (this.blank = true)} />`
          : icon(job.status === "failed" ? "alert" : "film")}
      </a>
      <div class="vc-what">
        <a class="vc-name" href=${paths.job(job.id)}>${job.name}</a>
        <span class="vc-meta">${facts(job)}</span>
        ${tags.length
          ? html`<span class="vc-tags">${tags.map(([key, value]) => html`<span class="tag">${key}: ${value}</span>`)}</span>`
          : nothing}
      </div>
      <div class="vc-status">${jobState(job)}</div>
      <div class="vc-news">${this.#news()}</div>
      <time class="vc-age" datetime=${job.created_at} title=${new Date(job.created_at).toLocaleString()}
        >${age(job.created_at, this.now)}</time
      >
      <div class="vc-acts">${this.#actions()}</div>
    `;
  }

  #news(): TemplateResult | string | typeof nothing {
    const { job } = this;
    switch (job.status) {
      case "running":
        return html`<div class="vc-bar">
            <progress class="progress" max="100" value=${job.progress.percent} aria-label="Progress of ${job.name}"></progress>
            <b>${Math.floor(job.progress.percent)}%</b>
          </div>
          <span class="vc-meta">${pace(job)}</span>`;
      case "queued":
        return this.#waiting();
      case "failed":
        return job.error
          ? html`<p class="vc-why"><code>${job.error.code}</code> ${job.error.detail}</p>
              <p class="vc-meta">${job.error.hint}</p>`
          : nothing;
      case "succeeded": {
        const seconds = took(job);
        const { descriptions } = job.parts.context;
        return html`<span class="vc-meta">${[
          job.renditions.length ? `${job.renditions.length} renditions` : "",
          descriptions ? `${descriptions} descriptions` : "",
          seconds === null ? "" : `took ${duration(seconds)}`,
        ]
          .filter(Boolean)
          .join(" · ")}</span>
        ${job.warnings.length
          ? html`<span class="vc-meta is-warning">${icon("alert")}${job.warnings.length} warning${job.warnings.length > 1 ? "s" : ""}</span>`
          : nothing}`;
      }
      case "canceled":
        return nothing;
    }
  }

  #waiting(): TemplateResult | typeof nothing {
    const { job } = this;
    if (job.next_attempt_at) {
      const wait_s = Math.max(0, (Date.parse(job.next_attempt_at) - this.now) / 1000);
      return html`<span class="vc-meta">attempt ${job.attempt + 1} in ${duration(wait_s)}</span>
        ${job.error ? html`<p class="vc-why"><code>${job.error.code}</code> ${job.error.detail}</p>` : nothing}`;
    }
    if (job.queue_position === null) return nothing;
    return html`<span class="vc-meta">${job.queue_position === 0 ? "next in the queue" : `${job.queue_position} ahead`}</span>`;
  }

  #actions(): TemplateResult {
    const { job } = this;
    const retry = job.status === "failed" || job.status === "canceled";
    return html`
      ${retry
        ? html`<button
            type="button"
            class="button is-small is-ghostly"
            aria-label="Retry ${job.name}"
            title="Retry"
            ?disabled=${this.busy}
            @click=${() => this.#act(() => api.retry(job.id))}
          >
            ${icon("retry")}<span class="vc-wide">Retry</span>
          </button>`
        : nothing}
      ${isOver(job.status)
        ? html`<vc-sure .label=${"Delete"} .about=${job.name} .icon=${"trash"} @sure=${() => this.#act(() => api.remove(job.id))}></vc-sure>`
        : html`<vc-sure .label=${"Cancel"} .about=${job.name} .icon=${"stop"} @sure=${() => this.#act(() => api.cancel(job.id))}></vc-sure>`}
    `;
  }

  async #act(action: () => Promise<Job | void>): Promise<void> {
    this.busy = true;
    try {
      const job = (await action()) ?? null;
      this.dispatchEvent(new CustomEvent("job-changed", { detail: job }));
    } catch (error) {
      say(this, reason(error), "danger");
    } finally {
      this.busy = false;
    }
  }
}

customElements.define("vc-job-row", JobRow);
