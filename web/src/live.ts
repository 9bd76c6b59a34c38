// Live updates: one event stream per browser, however many tabs are open.
//
// HTTP/1.1 allows six connections to a server per browser; a stream per tab would hang the seventh tab. So the tab
// that holds a Web Lock keeps the stream and passes on what it hears; when it closes, the lock and the duty move on.
// Where locks do not exist (plain http on a foreign host) each tab has a stream of its own. While no stream is up,
// pages are told to ask again every few seconds.

import { parsed, reach, urls } from "./api.ts";
import type { Job } from "./types.ts";

export type Connection = "connecting" | "live" | "polling" | "lost";

/** A job changed. `job` is its new state, null if the stream did not carry it, "removed" if there is no such job now. */
export interface Change {
  id: string;
  job: Job | "removed" | null;
}

type Heard = { kind: "change"; change: Change } | { kind: "stream"; up: boolean } | { kind: "hello" };

const NAME = "vidcompute.events";
const POLL_MS = 4000;
/** With the stream up everything is announced; this is for what an announcement missed. */
const SETTLE_MS = 60_000;
const REOPEN_MS = 5000;

export class Live extends EventTarget {
  connection: Connection = "connecting";
  #streamUp = false;
  #reached = true;
  #leading = false;
  #lastPollMs = 0;
  readonly #channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(NAME);

  start(): void {
    reach.report = (reached) => {
      this.#reached = reached;
      this.#settle();
    };
    this.#channel?.addEventListener("message", (event: MessageEvent<Heard>) => this.#hear(event.data));
    this.#channel?.postMessage({ kind: "hello" } satisfies Heard);
    setInterval(() => this.#tick(), 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#poll();
    });
    if ("locks" in navigator && this.#channel) void navigator.locks.request(NAME, () => this.#lead());
    else void this.#lead();
  }

  on(kind: "change", heard: (change: Change) => void, signal: AbortSignal): void;
  on(kind: "poll" | "connection", heard: () => void, signal: AbortSignal): void;
  on(kind: string, heard: ((change: Change) => void) | (() => void), signal: AbortSignal): void {
    this.addEventListener(kind, (event) => heard((event as CustomEvent<Change>).detail), { signal });
  }

  /** Holds the stream, and with it the lock, until the tab goes. */
  #lead(): Promise<never> {
    this.#leading = true;
    this.#open();
    return new Promise<never>(() => undefined);
  }

  #open(): void {
    const stream = new EventSource(urls.events());
    stream.addEventListener("open", () => this.#tell({ kind: "stream", up: true }));
    stream.addEventListener("job", (event: MessageEvent<string>) => {
      const change = changeOf(event.data);
      if (change) this.#tell({ kind: "change", change });
    });
    stream.addEventListener("removed", (event: MessageEvent<string>) => {
      const id = parsed(event.data)["id"];
      if (typeof id === "string") this.#tell({ kind: "change", change: { id, job: "removed" } });
    });
    stream.addEventListener("error", () => {
      this.#tell({ kind: "stream", up: false });
      // After an HTTP error the browser gives up for good; after a broken connection it tries again by itself.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.#open(), REOPEN_MS);
    });
  }

  #tell(heard: Heard): void {
    this.#channel?.postMessage(heard);
    this.#hear(heard);
  }

  #hear(heard: Heard): void {
    if (heard.kind === "change") {
      this.dispatchEvent(new CustomEvent("change", { detail: heard.change }));
    } else if (heard.kind === "stream") {
      if (heard.up) this.#reached = true;
      const back = heard.up && !this.#streamUp && this.connection !== "connecting";
      this.#streamUp = heard.up;
      this.#settle();
      // What happened while the stream was down was not announced.
      if (back) this.#poll();
    } else if (this.#leading) {
      this.#channel?.postMessage({ kind: "stream", up: this.#streamUp } satisfies Heard);
    }
  }

  #tick(): void {
    if (document.hidden) return;
    const wait = this.#streamUp ? SETTLE_MS : POLL_MS;
    if (Date.now() - this.#lastPollMs >= wait) this.#poll();
  }

  #poll(): void {
    this.#lastPollMs = Date.now();
    if (this.connection === "connecting" && !this.#streamUp) this.#settle();
    this.dispatchEvent(new Event("poll"));
  }

  #settle(): void {
    const now: Connection = !this.#reached ? "lost" : this.#streamUp ? "live" : "polling";
    if (now === this.connection) return;
    this.connection = now;
    this.dispatchEvent(new Event("connection"));
  }
}

/** The change that a `job` event tells of: a whole job, or one that is only named. */
export function changeOf(data: string): Change | null {
  const body = parsed(data);
  const { id } = body;
  if (typeof id !== "string") return null;
  const whole = "status" in body && "parts" in body && "progress" in body;
  return { id, job: whole ? (body as unknown as Job) : null };
}
