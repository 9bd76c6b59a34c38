// What all elements of the page share.

import { LitElement } from "lit";

/** An element that renders into the page itself: one style sheet serves all, and labels reach across elements. */
export class Light extends LitElement {
  #life = new AbortController();

  /** Aborted when the element leaves the page: requests and listeners end with it. */
  get life(): AbortSignal {
    return this.#life.signal;
  }

  override connectedCallback(): void {
    if (this.#life.signal.aborted) this.#life = new AbortController();
    super.connectedCallback();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life.abort();
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}

export interface Notice {
  text: string;
  tone: "info" | "danger";
}

/** Shows a short notice at the edge of the page, and reads it to those who listen. */
export function say(from: EventTarget, text: string, tone: Notice["tone"] = "info"): void {
  from.dispatchEvent(new CustomEvent<Notice>("vc-say", { detail: { text, tone }, bubbles: true }));
}

/** The text of anything that was thrown, with its advice if it has one. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = (error as { hint?: unknown }).hint;
  return typeof hint === "string" && hint ? `${error.message} ${hint}` : error.message;
}
