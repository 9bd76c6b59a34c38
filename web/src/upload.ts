// Files to the service, with progress. They belong to the page, not to one of its views: walking about does not
// stop them.

import { Refused, Unreachable, idempotencyKey, parsed, reach, urls } from "./api.ts";
import type { Job } from "./types.ts";

export interface Parcel {
  readonly name: string;
  readonly startedMs: number;
  sent: number;
  all: number;
  failure: unknown;
  stop: () => void;
}

/** Uploads under way and failed ones. Tells `progress` at every change, and `submitted` when a job came of one. */
export class Uploads extends EventTarget {
  parcels: readonly Parcel[] = [];

  constructor() {
    super();
    window.addEventListener("beforeunload", (event) => {
      if (this.parcels.some((parcel) => !parcel.failure)) event.preventDefault();
    });
  }

  begin(file: File, spec: Record<string, unknown>): void {
    const request = new XMLHttpRequest();
    const parcel: Parcel = {
      name: file.name,
      startedMs: Date.now(),
      sent: 0,
      all: file.size,
      failure: null,
      stop: () => {
        request.abort();
        this.#forget(parcel);
      },
    };
    this.parcels = [...this.parcels, parcel];
    this.#tell("progress");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      Object.assign(parcel, { sent: loaded, all: total });
      this.#tell("progress");
    });
    deliver(request, file, spec)
      .then(() => {
        this.#forget(parcel);
        this.#tell("submitted");
      })
      .catch((error: unknown) => {
        parcel.failure = error;
        this.#tell("progress");
      });
  }

  #forget(parcel: Parcel): void {
    this.parcels = this.parcels.filter((other) => other !== parcel);
    this.#tell("progress");
  }

  #tell(kind: "progress" | "submitted"): void {
    this.dispatchEvent(new Event(kind));
  }
}

/** XMLHttpRequest: fetch still cannot say how much of a body it has sent. */
function deliver(request: XMLHttpRequest, file: File, spec: Record<string, unknown>): Promise<Job> {
  const form = new FormData();
  // The spec goes first, so that a mistake in it is found before gigabytes follow.
  form.append("spec", JSON.stringify(spec));
  form.append("file", file, file.name);
  request.open("POST", urls.jobs());
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Idempotency-Key", idempotencyKey());
  return new Promise<Job>((resolve, reject) => {
    request.addEventListener("error", () => {
      reach.report(false);
      reject(new Unreachable());
    });
    request.addEventListener("load", () => {
      reach.report(true);
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(body as unknown as Job);
      else reject(new Refused(request.status, body));
    });
    request.send(form);
  });
}
