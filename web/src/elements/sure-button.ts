// A button for what cannot be undone: the first press asks, the second does it.

import { html, type PropertyValues, type TemplateResult } from "lit";
import { icon, type IconName } from "./icons.ts";
import { Light } from "./light.ts";

const PATIENCE_MS = 4000;

export class SureButton extends Light {
  static override properties = { label: {}, about: {}, icon: {}, asked: { state: true } };
  declare label: string;
  /** What it acts upon, for those who hear the button without seeing its row. */
  declare about: string;
  declare icon: IconName;
  declare asked: boolean;
  #patience = 0;

  constructor() {
    super();
    this.label = "";
    this.about = "";
    this.icon = "trash";
    this.asked = false;
  }

  override render(): TemplateResult {
    return html`<button
      type="button"
      class="button is-small ${this.asked ? "is-danger" : "is-ghostly"}"
      aria-label=${`${this.asked ? "Confirm: " : ""}${this.label} ${this.about}`}
      title=${this.label}
      @click=${this.#press}
      @blur=${() => (this.asked = false)}
    >
      ${icon(this.icon)}<span class=${this.asked ? "" : "vc-wide"}>${this.asked ? `${this.label}?` : this.label}</span>
    </button>`;
  }

  override updated(changed: PropertyValues): void {
    if (!changed.has("asked")) return;
    clearTimeout(this.#patience);
    if (this.asked) this.#patience = window.setTimeout(() => (this.asked = false), PATIENCE_MS);
  }

  #press(): void {
    if (this.asked) this.dispatchEvent(new Event("sure"));
    this.asked = !this.asked;
  }
}

customElements.define("vc-sure", SureButton);
