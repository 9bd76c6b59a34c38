// Frame rows of one job, loaded in windows of time around the playhead: an hour of video has 100 000 rows,
// of which a person looks at a few hundred.

import type { FrameDescription, FrameRow } from "./types.ts";

/** Frames in a row that share a description. */
export interface Stretch {
  description: FrameDescription | null;
  scene_no: number;
  rows: readonly FrameRow[];
}

export type LoadFrames = (from_ms: number, to_ms: number) => Promise<FrameRow[]>;

/** Index of the last row at or before `ts_ms`; 0 before the first row; -1 if there are no rows. */
export function rowAt(rows: readonly FrameRow[], ts_ms: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((rows[middle] as FrameRow).ts_ms <= ts_ms) low = middle;
    else high = middle - 1;
  }
  return high < 0 ? -1 : low;
}

/** `rows` cut where the description or the scene changes. */
export function stretches(rows: readonly FrameRow[]): Stretch[] {
  const found: { description: FrameDescription | null; scene_no: number; rows: FrameRow[] }[] = [];
  for (const row of rows) {
    const last = found.at(-1);
    const same = last && last.scene_no === row.scene_no && last.description?.desc_no === row.description?.desc_no;
    if (same) last.rows.push(row);
    else found.push({ description: row.description, scene_no: row.scene_no, rows: [row] });
  }
  return found;
}

/** Times at which a scene begins, as far as they are known from `rows`. */
export function sceneStarts(rows: readonly FrameRow[]): number[] {
  return rows.filter((row, i) => i > 0 && rows[i - 1]?.scene_no !== row.scene_no).map((row) => row.ts_ms);
}

export class FrameWindows {
  readonly #load: LoadFrames;
  readonly #windowMs: number;
  readonly #duration_ms: number;
  readonly #windows = new Map<number, FrameRow[]>();
  readonly #loading = new Map<number, Promise<void>>();

  constructor(load: LoadFrames, options: { duration_ms: number; window_ms: number }) {
    this.#load = load;
    this.#windowMs = options.window_ms;
    this.#duration_ms = options.duration_ms;
  }

  /** Number of the window that holds `ts_ms`, within the video. */
  windowOf(ts_ms: number): number {
    return Math.floor(Math.max(0, Math.min(ts_ms, this.#duration_ms)) / this.#windowMs);
  }

  get lastWindow(): number {
    return this.windowOf(this.#duration_ms);
  }

  has(window: number): boolean {
    return this.#windows.has(window);
  }

  /** Loads a window once; callers that ask meanwhile wait for the same answer. A failure may be asked for again. */
  load(window: number): Promise<void> {
    if (this.has(window) || window < 0 || window > this.lastWindow) return Promise.resolve();
    const running = this.#loading.get(window);
    if (running) return running;
    const from_ms = window * this.#windowMs;
    // Containers round durations down: the last window is open-ended, so that no frame is left out.
    const to_ms = window === this.lastWindow ? from_ms + 2 * this.#windowMs : from_ms + this.#windowMs - 1;
    const started = this.#load(from_ms, to_ms)
      .then((rows) => void this.#windows.set(window, rows))
      .finally(() => this.#loading.delete(window));
    this.#loading.set(window, started);
    return started;
  }

  /** First and last window of the unbroken run of loaded windows around `window`; null if it is not loaded. */
  run(window: number): { first: number; last: number } | null {
    if (!this.has(window)) return null;
    let first = window;
    let last = window;
    while (this.has(first - 1)) first -= 1;
    while (this.has(last + 1)) last += 1;
    return { first, last };
  }

  /** Rows of an unbroken run of windows. */
  rows(run: { first: number; last: number }): FrameRow[] {
    const found: FrameRow[] = [];
    for (let window = run.first; window <= run.last; window += 1) found.push(...(this.#windows.get(window) ?? []));
    return found;
  }

  /** Everything loaded so far, with gaps where nothing is. */
  all(): FrameRow[] {
    return [...this.#windows.entries()].sort(([a], [b]) => a - b).flatMap(([, rows]) => rows);
  }
}
