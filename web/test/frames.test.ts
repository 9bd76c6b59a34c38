import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWindows, rowAt, sceneStarts, stretches } from "../src/frames.ts";
import type { FrameRow } from "../src/types.ts";

const FPS = 30;

function row(frame_no: number): FrameRow {
  const desc_no = Math.floor(frame_no / 10);
  return {
    frame_no,
    pts: frame_no,
    ts_ms: Math.round((frame_no * 1000) / FPS),
    scene_no: Math.floor(frame_no / 75),
    similarity: 1,
    description: {
      desc_no, start_ms: 0, end_ms: 0, source: "local", model: "facts", status: "ok", context: { summary: `d${desc_no}` },
    },
  };
}

const ROWS = Array.from({ length: 150 }, (_, n) => row(n));

async function stored(from_ms: number, to_ms: number): Promise<FrameRow[]> {
  return ROWS.filter((r) => r.ts_ms >= from_ms && r.ts_ms <= to_ms);
}

test("the row at a time is the last one that has begun", () => {
  assert.equal(rowAt(ROWS, 0), 0);
  assert.equal(rowAt(ROWS, 66), 1);
  assert.equal(rowAt(ROWS, 67), 2);
  assert.equal(rowAt(ROWS, 1e9), 149);
  assert.equal(rowAt(ROWS, -5), 0);
  assert.equal(rowAt([], 0), -1);
});

test("frames that share a description form one stretch, cut at scenes", () => {
  const found = stretches(ROWS);
  assert.equal(found.length, 16); // 15 descriptions, one of them across the cut
  assert.equal(found.reduce((sum, s) => sum + s.rows.length, 0), 150);
  assert.deepEqual(sceneStarts(ROWS), [2500]);
});

test("windows cover every frame once, the last one beyond a rounded duration", async () => {
  const windows = new FrameWindows(stored, { duration_ms: 4960, window_ms: 1000 });

  for (let n = 0; n <= windows.lastWindow; n += 1) await windows.load(n);

  assert.deepEqual(windows.all().map((r) => r.frame_no), ROWS.map((r) => r.frame_no));
});

test("a run ends at a window that is not loaded", async () => {
  const windows = new FrameWindows(stored, { duration_ms: 5000, window_ms: 1000 });
  await windows.load(0);
  await windows.load(2);
  await windows.load(3);

  assert.deepEqual(windows.run(3), { first: 2, last: 3 });
  assert.equal(windows.run(1), null);
  assert.equal(windows.rows({ first: 2, last: 3 })[0]?.frame_no, 60);
});

test("a window is asked for once while it loads, and again after a failure", async () => {
  let asked = 0;
  const windows = new FrameWindows(
    async (from, to) => {
      asked += 1;
      if (asked === 1) throw new Error("down");
      return stored(from, to);
    },
    { duration_ms: 5000, window_ms: 1000 },
  );

  await assert.rejects(windows.load(0));
  await Promise.all([windows.load(0), windows.load(0)]);

  assert.equal(asked, 2);
});
