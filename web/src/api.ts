// The one place that knows the API's addresses, and what its answers mean.

import type { Attempt, FramePage, FrameRow, Job, JobCounts, JobPage, JobStatus, SearchPage } from "./types.ts";

const API = "/api/v1";

function query(values: Record<string, string | number | null | undefined>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return text && `?${text}`;
}

const job = (id: string): string => `${API}/jobs/${encodeURIComponent(id)}`;

export const urls = {
  jobs: (filter: { status?: JobStatus | null; q?: string; cursor?: string | null; limit?: number } = {}): string =>
    `${API}/jobs${query(filter)}`,
  counts: (): string => `${API}/jobs/counts`,
  job,
  cancel: (id: string): string => `${job(id)}/cancel`,
  retry: (id: string): string => `${job(id)}/retry`,
  attempts: (id: string): string => `${job(id)}/attempts`,
  logs: (id: string, afterSeq: number): string => `${job(id)}/logs${query({ after: afterSeq || null })}`,
  frames: (id: string, filter: { from_ms: number; to_ms: number; limit: number; cursor?: string | null }): string =>
    `${job(id)}/frames${query(filter)}`,
  frameImage: (id: string, frameNo: number): string => `${job(id)}/frames/${frameNo}.jpg`,
  search: (filter: { q: string; limit: number; cursor?: string | null }): string => `${API}/search${query(filter)}`,
  events: (): string => `${API}/events`,
  docs: (): string => "/docs/",
};

/** The service answered, and said no (RFC 9457). */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  readonly requestId: string;
  readonly fields: { pointer: string; msg: string }[];

  constructor(status: number, body: Record<string, unknown>) {
    super(text(body["detail"]) || text(body["title"]) || `The service answered ${status}.`);
    this.status = status;
    this.code = text(body["code"]) || `http_${status}`;
    this.title = text(body["title"]);
    this.hint = text(body["hint"]);
    this.requestId = text(body["request_id"]);
    const fields = body["errors"];
    this.fields = Array.isArray(fields) ? (fields as { pointer: string; msg: string }[]) : [];
  }
}

/** The service did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The service does not answer.");
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** `body` of an answer as JSON, or an empty object if it is something else. */
export function parsed(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Told after every exchange whether the service was reached; set by the connection monitor. */
export const reach: { report: (reached: boolean) => void } = { report: () => undefined };

async function call<T>(url: string, init: RequestInit = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, headers: { Accept: "application/json", ...init.headers } });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reach.report(false);
    throw new Unreachable();
  }
  reach.report(true);
  const body = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, parsed(body));
  return (body ? JSON.parse(body) : undefined) as T;
}

/** Makes a repeated submission harmless. Not crypto.randomUUID: that exists on https and localhost only. */
export function idempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const api = {
  jobs: (filter: Parameters<typeof urls.jobs>[0], signal?: AbortSignal): Promise<JobPage> =>
    call(urls.jobs(filter), signal ? { signal } : {}),
  counts: (): Promise<JobCounts> => call(urls.counts()),
  job: (id: string): Promise<Job> => call(urls.job(id)),
  cancel: (id: string): Promise<Job> => call(urls.cancel(id), { method: "POST" }),
  retry: (id: string): Promise<Job> => call(urls.retry(id), { method: "POST" }),
  remove: (id: string): Promise<void> => call(urls.job(id), { method: "DELETE" }),
  submit: (spec: Record<string, unknown>): Promise<Job> =>
    call(urls.jobs(), {
      method: "POST",
      body: JSON.stringify(spec),
      headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey() },
    }),
  attempts: async (id: string): Promise<Attempt[]> =>
    (await call<{ attempts: Attempt[] }>(urls.attempts(id))).attempts,
  /** Every frame row with from_ms <= ts_ms <= to_ms, in order. */
  async frames(id: string, from_ms: number, to_ms: number): Promise<FrameRow[]> {
    const rows: FrameRow[] = [];
    let cursor: string | null = null;
    do {
      const page: FramePage = await call(urls.frames(id, { from_ms, to_ms, limit: 1000, cursor }));
      rows.push(...page.frames);
      cursor = page.next_cursor;
    } while (cursor);
    return rows;
  },
  search: (filter: Parameters<typeof urls.search>[0], signal?: AbortSignal): Promise<SearchPage> =>
    call(urls.search(filter), signal ? { signal } : {}),
};
