// Where jobs begin: drop files, choose them, or name a URL.

import { html, nothing, type TemplateResult } from "lit";
import { api, Refused, urls } from "../api.ts";
import { bytes, duration } from "../format.ts";
import type { Parcel, Uploads } from "../upload.ts";
import { icon } from "./icons.ts";
import { Light, reason, say } from "./light.ts";

export class SubmitPanel extends Light {
  static override properties = {
    first: { attribute: false },
    open: { attribute: false },
    uploads: { attribute: false },
    over: { state: true },
    failure: { state: true },
    busy: { state: true },
  };
  /** Nothing was ever submitted here: explain more. */
  declare first: boolean;
  declare open: boolean;
  declare uploads: Uploads;
  declare over: boolean;
  declare failure: string;
  declare busy: boolean;

  constructor() {
    super();
    this.first = false;
    this.open = false;
    this.over = false;
    this.failure = "";
    this.busy = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    // Anywhere on the page is a place to drop: a file that misses the zone must not replace the page.
    const drag = (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.over = true;
    };
    window.addEventListener("dragover", drag, { signal: this.life });
    window.addEventListener("dragleave", (event) => event.relatedTarget ?? (this.over = false), { signal: this.life });
    window.addEventListener("drop", (event) => this.#drop(event), { signal: this.life });
    this.uploads.addEventListener("progress", () => this.requestUpdate(), { signal: this.life });
    this.uploads.addEventListener("submitted", () => this.#submitted(), { signal: this.life });
  }

  override render(): TemplateResult {
    return html`
      ${this.over ? html`<div class="vc-drop-all" aria-hidden="true">${icon("upload")}<b>Drop to start</b></div>` : nothing}
      ${this.open ? this.#panel() : nothing}
      ${this.uploads.parcels.length
        ? html`<ul class="vc-parcels" aria-label="Uploads">${this.uploads.parcels.map((parcel) => this.#parcel(parcel))}</ul>`
        : nothing}
    `;
  }

  override updated(): void {
    // Nothing to show: no gap in the page either.
    this.hidden = !this.over && !this.open && !this.uploads.parcels.length;
  }

  #panel(): TemplateResult {
    return html`<section class="vc-submit ${this.first ? "is-first" : ""}" aria-label="New job">
      <label class="vc-drop">
        <input type="file" multiple accept="video/*,.mkv,.mxf,.ts,.m2ts" @change=${this.#choose} />
        ${icon("upload")}
        <b>${this.first ? "Drop a video to begin" : "Drop videos here"}</b>
        <span class="vc-meta">or choose files from this computer</span>
      </label>
      <form @submit=${this.#submit}>
        <label class="label" for="input-url">Or a URL</label>
        <div class="vc-line">
          <input id="input-url" name="url" class="input" type="text" inputmode="url" autocomplete="off" spellcheck="false"
            placeholder="https://… or s3://…" />
          <button class="button is-primary" ?disabled=${this.busy}>Submit</button>
        </div>
        <div class="vc-line vc-options">
          <label>Preset <span class="select is-small"><select name="preset">
            <option value="fast">fast</option>
            <option value="balanced" selected>balanced</option>
            <option value="quality">quality</option>
          </select></span></label>
          <label>Priority <span class="select is-small"><select name="priority">
            <option value="high">high</option>
            <option value="normal" selected>normal</option>
            <option value="low">low</option>
          </select></span></label>
          <label class="checkbox"><input type="checkbox" name="describe" checked /> Describe the frames</label>
        </div>
        ${this.failure ? html`<p class="vc-fault" role="alert">${this.failure}</p>` : nothing}
      </form>
      ${this.first ? this.#curl() : nothing}
    </section>`;
  }

  #curl(): TemplateResult {
    const command = `curl -F file=@video.mp4 ${location.origin}${urls.jobs()}`;
    return html`<div class="vc-curl">
      <span class="vc-meta">The same from a terminal:</span>
      <div class="vc-line">
        <code tabindex="0">${command}</code>
        <button type="button" class="button is-small" @click=${() => this.#copy(command)}>
          ${icon("copy")}<span>Copy</span>
        </button>
      </div>
    </div>`;
  }

  #parcel(parcel: Parcel): TemplateResult {
    const { name, sent, all, failure, startedMs } = parcel;
    const seconds = (Date.now() - startedMs) / 1000;
    const left = sent > 0 ? ((all - sent) / sent) * seconds : NaN;
    return html`<li class=${failure ? "is-failed" : ""}>
      <span class="vc-name">${name}</span>
      ${failure
        ? html`<span class="vc-fault" role="alert">${spoken(failure)}</span>`
        : html`<progress class="progress" max=${all || 1} value=${sent} aria-label="Upload of ${name}"></progress>
            <span class="vc-meta"
              >${bytes(sent)} of ${bytes(all)}${seconds > 1 ? ` · ${bytes(sent / seconds)}/s · ${duration(left)} left` : ""}</span
            >`}
      <button type="button" class="button is-small is-ghostly" aria-label="${failure ? "Dismiss" : "Stop"} ${name}"
        @click=${parcel.stop}>${icon("cross")}</button>
    </li>`;
  }

  #choose(event: Event): void {
    const field = event.target as HTMLInputElement;
    this.#begin(field.files);
    field.value = "";
  }

  #drop(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.over = false;
    this.#begin(event.dataTransfer.files);
  }

  #begin(files: FileList | null): void {
    for (const file of files ?? []) this.uploads.begin(file, { ...this.#options(), name: file.name });
  }

  #submitted(): void {
    this.dispatchEvent(new Event("submitted"));
  }

  /** What the form says, but for its URL. A closed form says nothing: the service's defaults count. */
  #options(): Record<string, unknown> {
    const form = this.querySelector("form");
    if (!form) return {};
    const data = new FormData(form);
    return { preset: data.get("preset"), priority: data.get("priority"), enable_llm: data.has("describe") };
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = this.querySelector<HTMLInputElement>("#input-url");
    const input = field?.value.trim() ?? "";
    if (!input) {
      this.failure = "Enter the address of a video, or drop a file above.";
      return;
    }
    this.busy = true;
    this.failure = "";
    try {
      await api.submit({ ...this.#options(), input });
      if (field) field.value = "";
      this.#submitted();
    } catch (error) {
      this.failure = spoken(error);
    } finally {
      this.busy = false;
    }
  }

  async #copy(command: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(command);
      say(this, "Copied.");
    } catch {
      say(this, "The browser does not allow copying here: select the text instead.", "danger");
    }
  }
}

/** A refusal with the fields it names. */
function spoken(error: unknown): string {
  const why = reason(error);
  const fields = error instanceof Refused ? error.fields.filter(({ msg }) => !why.includes(msg)) : [];
  return [why, ...fields.map(({ pointer, msg }) => `${pointer}: ${msg}`)].join(" ");
}

customElements.define("vc-submit", SubmitPanel);
