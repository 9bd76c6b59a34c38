// Search: from a word to the moment.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { api } from "../api.ts";
import { timecode } from "../format.ts";
import { pieces } from "../marks.ts";
import { go, paths } from "../router.ts";
import type { Moment } from "../types.ts";
import { icon } from "./icons.ts";
import { Light, reason } from "./light.ts";

const LIMIT = 40;

export class SearchPage extends Light {
  static override properties = {
    q: {},
    moments: { state: true },
    cursor: { state: true },
    capped: { state: true },
    failure: { state: true },
    busy: { state: true },
  };
  declare q: string;
  declare moments: Moment[] | null;
  declare cursor: string | null;
  declare capped: boolean;
  declare failure: string;
  declare busy: boolean;
  #asking: AbortController | null = null;

  constructor() {
    super();
    this.q = "";
    this.moments = null;
    this.cursor = null;
    this.capped = false;
    this.failure = "";
    this.busy = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.life.addEventListener("abort", () => this.#asking?.abort());
  }

  override firstUpdated(): void {
    if (!this.q) this.querySelector("input")?.focus();
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("q")) return;
    document.title = `${this.q || "Search"} · vidcompute`;
    this.moments = null;
    this.cursor = null;
    if (this.q) void this.#ask();
  }

  override render(): TemplateResult {
    return html`<div class="vc-page">
      <h1 class="vc-hidden">Search</h1>
      <form class="vc-search" role="search" @submit=${this.#submit}>
        <label class="vc-find is-large">
          ${icon("search")}<span class="vc-hidden">What to look for</span>
          <input class="input is-medium" type="search" name="q" placeholder="A colour, a thing, words on screen…" .value=${this.q} />
        </label>
        <button class="button is-primary is-medium">Search</button>
      </form>
      <div aria-live="polite">${this.#answer()}</div>
    </div>`;
  }

  #answer(): TemplateResult {
    if (this.failure) return html`<p class="vc-fault">${this.failure}</p>`;
    if (!this.q) {
      return html`<p class="vc-empty">Every frame of every video is described. Find the moment in which something was seen or read.</p>`;
    }
    if (!this.moments) return html`<p class="vc-waiting">Searching…</p>`;
    if (!this.moments.length) {
      return html`<p class="vc-empty">Nothing was found for “${this.q}”. Try another word, or a part of it.</p>`;
    }
    const count = `${this.moments.length}${this.cursor ? "+" : ""}`;
    return html`
      <p class="vc-meta">
        ${count} ${count === "1" ? "moment" : "moments"}${this.capped ? "; more frames match than were looked at: add a word" : ""}
      </p>
      <ul class="vc-moments" aria-label="Moments">
        ${this.moments.map((moment) => this.#moment(moment))}
      </ul>
      ${this.cursor
        ? html`<button type="button" class="button vc-more" ?disabled=${this.busy} @click=${() => this.#ask()}>More</button>`
        : nothing}
    `;
  }

  #moment(moment: Moment): TemplateResult {
    return html`<li>
      <a href=${paths.job(moment.job_id, { t_ms: moment.start_ms })}>
        <span class="vc-thumb">
          ${moment.thumbnail_url
            ? html`<img src=${moment.thumbnail_url} alt="" loading="lazy" decoding="async" />`
            : icon("film")}
          <b>${timecode(moment.start_ms)}</b>
        </span>
        <span class="vc-said">
          <span>${pieces(moment.snippet).map(({ text, marked }) => (marked ? html`<mark>${text}</mark>` : text))}</span>
          <span class="vc-meta">${moment.job_name} · frame ${moment.frame_no}</span>
        </span>
      </a>
    </li>`;
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    const q = String(new FormData(event.target as HTMLFormElement).get("q") ?? "").trim();
    go(paths.search(q));
  }

  /** The first page, or the next one. */
  async #ask(): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.busy = true;
    try {
      const page = await api.search({ q: this.q, limit: LIMIT, cursor: this.cursor }, asking.signal);
      this.moments = [...(this.moments ?? []), ...page.moments];
      this.cursor = page.next_cursor;
      this.capped = page.capped;
      this.failure = "";
    } catch (error) {
      if (!asking.signal.aborted) this.failure = reason(error);
    } finally {
      if (this.#asking === asking) this.busy = false;
    }
  }
}

customElements.define("vc-search", SearchPage);
