// The list of jobs: live, filtered by the address, newest first.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { api } from "../api.ts";
import type { Change, Live } from "../live.ts";
import { go, paths } from "../router.ts";
import { STATUSES, type Job, type JobCounts, type JobStatus } from "../types.ts";
import type { Uploads } from "../upload.ts";
import { icon } from "./icons.ts";
import { Light, reason } from "./light.ts";
import "./job-row.ts";
import "./submit-panel.ts";

const LIMIT = 50;
/** Announcements of a busy service are gathered for so long before the list is asked for. */
const GATHER_MS = 800;
const SECOND_MS = 1000;

export class JobsPage extends Light {
  static override properties = {
    live: { attribute: false },
    uploads: { attribute: false },
    status: {},
    q: {},
    jobs: { state: true },
    counts: { state: true },
    cursor: { state: true },
    failure: { state: true },
    held: { state: true },
    submitting: { state: true },
    now: { state: true },
  };
  declare live: Live;
  declare uploads: Uploads;
  declare status: JobStatus | null;
  declare q: string;
  declare jobs: Job[] | null;
  declare counts: JobCounts | null;
  declare cursor: string | null;
  declare failure: string;
  /** New jobs that wait until the list may move: rows must not jump away under a pointer. */
  declare held: number;
  declare submitting: boolean;
  declare now: number;
  #loading: AbortController | null = null;
  /** What the stream said while a list was on its way: it is newer than the list. */
  readonly #heard = new Map<string, Job | "removed">();
  #gather = 0;
  #typing = 0;

  constructor() {
    super();
    this.status = null;
    this.q = "";
    this.jobs = null;
    this.counts = null;
    this.cursor = null;
    this.failure = "";
    this.held = 0;
    this.submitting = false;
    this.now = Date.now();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "Jobs · vidcompute";
    const clock = setInterval(() => (this.now = Date.now()), SECOND_MS);
    this.life.addEventListener("abort", () => {
      clearInterval(clock);
      clearTimeout(this.#gather);
      this.#loading?.abort();
    });
    this.live.on("change", (change) => this.#changed(change), this.life);
    this.live.on("poll", () => void this.#load("keep"), this.life);
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("status") || changed.has("q")) void this.#load("anew");
  }

  override render(): TemplateResult {
    const first = this.counts?.total === 0;
    return html`<div class="vc-page">
      <div class="vc-title">
        <h1>Jobs</h1>
        ${first
          ? nothing
          : html`<button
              type="button"
              class="button is-primary"
              aria-expanded=${this.submitting}
              aria-controls="submit"
              @click=${() => (this.submitting = !this.submitting)}
            >
              ${icon(this.submitting ? "cross" : "plus")}<span>${this.submitting ? "Close" : "New job"}</span>
            </button>`}
      </div>
      <vc-submit id="submit" .uploads=${this.uploads} .first=${first} .open=${first || this.submitting} @submitted=${this.#submitted}></vc-submit>
      ${first ? nothing : this.#filters()} ${this.#list()}
    </div>`;
  }

  #filters(): TemplateResult {
    const tab = (status: JobStatus | null, word: string, count: number | undefined): TemplateResult => html`<a
      href=${paths.jobs({ status, q: this.q })}
      class="vc-chip ${status === "failed" && count ? "is-alarming" : ""}"
      aria-current=${this.status === status ? "true" : nothing}
      >${word}${count === undefined ? nothing : html` <b>${count}</b>`}</a
    >`;
    return html`<div class="vc-filters">
      <nav class="vc-chips" aria-label="Filter by state">
        ${tab(null, "All", this.counts?.total)}
        ${STATUSES.map((status) => tab(status, status, this.counts?.[status]))}
      </nav>
      <label class="vc-find">
        ${icon("search")}<span class="vc-hidden">Filter by name</span>
        <input class="input" type="search" placeholder="Filter by name" .value=${this.q} @input=${this.#find} />
      </label>
    </div>`;
  }

  #list(): TemplateResult | typeof nothing {
    if (this.failure && !this.jobs) return html`<p class="vc-fault">${this.failure}</p>`;
    if (!this.jobs) return html`<p class="vc-waiting">Loading…</p>`;
    if (!this.jobs.length) {
      if (this.counts?.total === 0) return nothing;
      return html`<p class="vc-empty">No job matches. <a href=${paths.jobs()}>Show all</a></p>`;
    }
    return html`
      ${this.held
        ? html`<button type="button" class="button is-small vc-held" @click=${() => this.#load("anew")}>
            Show ${this.held} new ${this.held === 1 ? "job" : "jobs"}
          </button>`
        : nothing}
      <ul class="vc-jobs" aria-label="Jobs">
        ${repeat(
          this.jobs,
          (job) => job.id,
          (job) => html`<li><vc-job-row .job=${job} .now=${this.now} @job-changed=${this.#acted}></vc-job-row></li>`,
        )}
      </ul>
      ${this.cursor
        ? html`<button type="button" class="button vc-more" @click=${() => this.#load("older")}>Older jobs</button>`
        : nothing}
    `;
  }

  #find(event: Event): void {
    const q = (event.target as HTMLInputElement).value;
    clearTimeout(this.#typing);
    this.#typing = window.setTimeout(() => go(paths.jobs({ status: this.status, q }), { replace: true }), 250);
  }

  #submitted(): void {
    this.submitting = false;
    void this.#load("anew");
  }

  #acted(event: CustomEvent<Job | null>): void {
    if (event.detail) this.#patch(event.detail);
    void this.#load("anew");
  }

  #changed({ id, job }: Change): void {
    const known = this.jobs?.find((other) => other.id === id);
    if (this.#loading && job) this.#heard.set(id, job);
    if (job === "removed") this.jobs = this.jobs?.filter((other) => other.id !== id) ?? null;
    else if (known && job) {
      this.#patch(job);
      if (known.status === job.status) return;
    }
    if (this.#gather) return;
    this.#gather = window.setTimeout(() => {
      this.#gather = 0;
      void this.#load("keep");
    }, GATHER_MS);
  }

  #patch(job: Job): void {
    this.jobs = this.jobs?.map((other) => (other.id === job.id ? job : other)) ?? null;
  }

  /** `anew`: the list may be another one; `keep`: the same list, refreshed in place; `older`: its next page. */
  async #load(how: "anew" | "keep" | "older"): Promise<void> {
    if (how === "keep" && this.#loading) return;
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#heard.clear();
    try {
      const cursor = how === "older" ? this.cursor : null;
      const filter = { status: this.status, q: this.q, limit: LIMIT, cursor };
      const [page, counts] = await Promise.all([api.jobs(filter, loading.signal), api.counts()]);
      if (loading.signal.aborted) return;
      this.counts = counts;
      this.failure = "";
      if (how === "older") {
        this.jobs = [...(this.jobs ?? []), ...this.#newest(page.jobs)];
        this.cursor = page.next_cursor;
      } else this.#take(this.#newest(page.jobs), page.next_cursor, how);
    } catch (error) {
      if (!loading.signal.aborted) this.failure = reason(error);
    } finally {
      if (this.#loading === loading) this.#loading = null;
    }
  }

  #newest(found: Job[]): Job[] {
    return found.map((job) => this.#heard.get(job.id) ?? job).filter((job) => job !== "removed");
  }

  #take(found: Job[], next: string | null, how: "anew" | "keep"): void {
    const before = this.jobs ?? [];
    const older = how === "keep" && before.length > LIMIT ? before.slice(LIMIT) : [];
    if (how === "keep" && before.length && this.#inUse()) {
      const fresh = new Map(found.map((job) => [job.id, job]));
      this.jobs = before.map((job) => fresh.get(job.id) ?? job);
      const known = new Set(before.map((job) => job.id));
      this.held = found.filter((job) => !known.has(job.id)).length;
      return;
    }
    const ids = new Set(found.map((job) => job.id));
    this.jobs = [...found, ...older.filter((job) => !ids.has(job.id))];
    if (!older.length) this.cursor = next;
    this.held = 0;
  }

  #inUse(): boolean {
    const list = this.querySelector(".vc-jobs");
    return list !== null && (list.matches(":hover") || list.contains(document.activeElement));
  }
}

customElements.define("vc-jobs", JobsPage);
