// What the API says, as in its OpenAPI document. Only what the page reads is named.

export type JobStatus = "queued" | "running" | "succeeded" | "failed" | "canceled";

export const STATUSES: readonly JobStatus[] = ["running", "queued", "succeeded", "failed", "canceled"];

export type Phase =
  | "downloading"
  | "probing"
  | "transcoding"
  | "describing"
  | "packaging"
  | "verifying"
  | "uploading";

export type PartStatus = "pending" | "running" | "succeeded" | "degraded" | "failed" | "skipped" | "canceled";

export interface Progress {
  percent: number;
  frame: number | null;
  frames: number | null;
  fps: number | null;
  speed: number | null;
  eta_s: number | null;
}

export interface Source {
  container: string | null;
  video_codec: string | null;
  width: number | null;
  height: number | null;
  /** A fraction: "30000/1001". */
  fps: string | null;
  frames: number | null;
  duration_ms: number | null;
  hdr: boolean | null;
  audio: { codec?: string; channels?: number; language?: string | null }[];
}

export interface Rendition {
  name: string;
  width: number | null;
  height: number | null;
  codec: string | null;
  /** Bits per second. */
  bitrate: number | null;
  bytes: number | null;
  vmaf: number | null;
}

export interface JobError {
  code: string;
  title: string;
  detail: string;
  hint: string;
  retryable: boolean;
}

export type Warning = string | { code?: string; detail?: string; message?: string; hint?: string };

export interface Job {
  id: string;
  name: string;
  status: JobStatus;
  phase: Phase | null;
  progress: Progress;
  priority: string;
  attempt: number;
  failures: number;
  max_attempts: number;
  next_attempt_at: string | null;
  dead_letter: boolean;
  queue_position: number | null;
  cancel_requested?: boolean;
  source: Source | null;
  parts: {
    hls: { status: PartStatus; playable: boolean; url: string | null; dash_url: string | null };
    context: {
      status: PartStatus;
      frames: number | null;
      descriptions: number | null;
      provider: string | null;
      tokens: number | null;
      cost_usd: number | null;
    };
  };
  renditions: Rendition[];
  error: JobError | null;
  warnings: Warning[];
  tags: Record<string, string>;
  spec: Record<string, unknown>;
  poster_url?: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface JobPage {
  jobs: Job[];
  next_cursor: string | null;
}

export type JobCounts = Record<JobStatus, number> & { total: number };

type Thing = string | { name?: string };

/** What a describer said. Describers differ, so everything is optional. */
export interface Context {
  summary?: string;
  objects?: Thing[];
  actions?: Thing[];
  ocr_text?: string | string[];
  /** CSS colour names with their share of the picture. */
  colors?: { name: string; share: number }[];
}

export interface FrameDescription {
  desc_no: number;
  start_ms: number;
  end_ms: number;
  source: string;
  model: string;
  status: string;
  context: Context;
}

export interface FrameRow {
  frame_no: number;
  pts: number;
  ts_ms: number;
  scene_no: number;
  similarity: number | null;
  description: FrameDescription | null;
}

export interface FramePage {
  frames: FrameRow[];
  next_cursor: string | null;
}

export interface Attempt {
  attempt: number;
  node: string | null;
  started_at: string;
  finished_at: string | null;
  outcome: string | null;
  counted: boolean | null;
  problem: (Partial<JobError> & { evidence?: Evidence }) | null;
}

export interface Evidence {
  argv?: string[];
  exit_code?: number | null;
  stderr_tail?: string | string[];
  [key: string]: unknown;
}

export interface Moment {
  job_id: string;
  job_name: string;
  start_ms: number;
  end_ms: number;
  frame_no: number;
  /** HTML-escaped text with `<mark>` only. */
  snippet: string;
  score: number;
  thumbnail_url: string | null;
  url: string;
}

export interface SearchPage {
  query: string;
  mode: string;
  capped: boolean;
  moments: Moment[];
  next_cursor: string | null;
}

export interface LogLine {
  seq: number;
  at: string | null;
  level: string;
  message: string;
}

export function isOver(status: JobStatus): boolean {
  return status === "succeeded" || status === "failed" || status === "canceled";
}
