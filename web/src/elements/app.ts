// The frame around every page: header, connection, notices, and the page that the address names.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { urls } from "../api.ts";
import type { Live } from "../live.ts";
import { go, paths, route, watch, type Route } from "../router.ts";
import type { Uploads } from "../upload.ts";
import { icon, type IconName } from "./icons.ts";
import { Light, type Notice } from "./light.ts";
import "./jobs-page.ts";
import "./job-page.ts";
import "./search-page.ts";

type Theme = "auto" | "light" | "dark";

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { auto: "light", light: "dark", dark: "auto" };
const THEME_ICON: Readonly<Record<Theme, IconName>> = { auto: "auto", light: "sun", dark: "moon" };
const CONNECTION = { connecting: "connecting", live: "live", polling: "polling", lost: "offline" } as const;
const NOTICE_MS = 6000;

export class App extends Light {
  static override properties = { route: { state: true }, theme: { state: true }, notices: { state: true } };
  declare route: Route;
  declare theme: Theme;
  declare notices: Notice[];
  live!: Live;
  uploads!: Uploads;

  constructor() {
    super();
    this.route = route(new URL(location.href));
    this.theme = (document.documentElement.dataset["theme"] as Theme | undefined) ?? "auto";
    this.notices = [];
    this.addEventListener("vc-say", (event) => this.#notice((event as CustomEvent<Notice>).detail));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    watch(() => (this.route = route(new URL(location.href))));
    this.live.on("connection", () => this.requestUpdate(), this.life);
    document.addEventListener("keydown", (event) => this.#key(event), { signal: this.life });
  }

  override updated(changed: PropertyValues<this>): void {
    const before = changed.get("route") as Route | undefined;
    if (!before || before.page === this.route.page) return;
    // A new page is read from its top, by eye and by screen reader.
    window.scrollTo(0, 0);
    this.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
  }

  override render(): TemplateResult {
    return html`
      <a class="vc-skip" href="#main">Skip to the content</a>
      ${this.#header()}
      ${this.live.connection === "lost"
        ? html`<div class="vc-banner" role="alert">
            ${icon("alert")}<span>The server does not answer. What you see may be old; this page keeps trying.</span>
          </div>`
        : nothing}
      <main id="main" tabindex="-1" class=${this.live.connection === "lost" ? "is-stale" : ""}>${this.#page()}</main>
      <div class="vc-notices" role="status" aria-live="polite">
        ${this.notices.map((notice) => html`<p class="vc-notice is-${notice.tone}">${notice.text}</p>`)}
      </div>
    `;
  }

  #header(): TemplateResult {
    const at = this.route.page;
    const link = (href: string, word: string, here: boolean): TemplateResult =>
      html`<a href=${href} aria-current=${here ? "page" : nothing}>${word}</a>`;
    const { connection } = this.live;
    return html`<header class="vc-header">
      <div class="vc-header-in">
        <a class="vc-brand" href=${paths.jobs()}>${BRAND}<span>vidcompute</span></a>
        <nav aria-label="Pages">
          ${link(paths.jobs(), "Jobs", at === "jobs" || at === "job")} ${link(paths.search(), "Search", at === "search")}
          <a href=${urls.docs()}>API</a>
        </nav>
        <span class="vc-connection is-${connection}" title="Connection to the server">
          <i></i><span>${CONNECTION[connection]}</span>
        </span>
        <button
          type="button"
          class="button is-small is-ghostly"
          title="Theme: ${this.theme}"
          aria-label="Theme: ${this.theme}. Change it."
          @click=${this.#changeTheme}
        >
          ${icon(THEME_ICON[this.theme])}
        </button>
      </div>
    </header>`;
  }

  #page(): TemplateResult {
    const at = this.route;
    switch (at.page) {
      case "jobs":
        return html`<vc-jobs .live=${this.live} .uploads=${this.uploads} .status=${at.status} .q=${at.q}></vc-jobs>`;
      case "job":
        return html`${keyed(at.id, html`<vc-job .live=${this.live} .job_id=${at.id} .t=${at.t} .tab=${at.tab}></vc-job>`)}`;
      case "search":
        return html`<vc-search .q=${at.q}></vc-search>`;
      case "missing":
        return html`<div class="vc-empty">
          <h1>There is no such page</h1>
          <p><code>${at.path}</code></p>
          <p><a class="button is-primary" href=${paths.jobs()}>To the jobs</a></p>
        </div>`;
    }
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select") !== null;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (this.route.page === "search") this.querySelector<HTMLInputElement>("vc-search input")?.focus();
    else go(paths.search());
  }

  #changeTheme(): void {
    this.theme = NEXT_THEME[this.theme];
    if (this.theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.theme;
    try {
      localStorage.setItem("vidcompute.theme", this.theme);
    } catch {
      // Storage is closed to this page: the choice lasts until it is reloaded.
    }
  }

  #notice(notice: Notice): void {
    this.notices = [...this.notices, notice];
    setTimeout(() => (this.notices = this.notices.filter((other) => other !== notice)), NOTICE_MS);
  }
}

const BRAND = html`<svg viewBox="0 0 32 32" aria-hidden="true">
  <rect class="vc-plate" width="32" height="32" rx="8" />
  <path
    d="M12.5 9.6v12.8a.9.9 0 0 0 1.4.8l9.2-6.4a1 1 0 0 0 0-1.6l-9.2-6.4a.9.9 0 0 0-1.4.8z"
    fill="#fff"
  />
  <path d="M7.5 9v3M7.5 14.5v3M7.5 20v3" stroke="#c7d2fe" stroke-width="2.4" stroke-linecap="round" />
</svg>`;

customElements.define("vc-app", App);
