import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bitrate, bytes, duration, fps, parseTime, timecode } from "../src/format.ts";

test("a timecode shows milliseconds, and hours only when there are some", () => {
  assert.equal(timecode(12_480), "0:12.480");
  assert.equal(timecode(3_723_004), "1:02:03.004");
  assert.equal(timecode(59_999.6), "1:00.000");
  assert.equal(timecode(-3), "0:00.000");
});

test("durations are coarse", () => {
  assert.equal(duration(0.42), "0.4 s");
  assert.equal(duration(134), "2 min 14 s");
  assert.equal(duration(11_100), "3 h 05 min");
  assert.equal(duration(NaN), "–");
});

test("a clock that is behind the server's never shows a negative age", () => {
  assert.equal(age("2026-01-01T00:00:10Z", Date.parse("2026-01-01T00:00:00Z")), "just now");
  assert.equal(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T02:00:00Z")), "2 h ago");
});

test("sizes and rates count in powers of 1000", () => {
  assert.equal(bytes(1_843_750), "1.8 MB");
  assert.equal(bytes(999_900), "1.0 MB");
  assert.equal(bytes(12), "12 B");
  assert.equal(bitrate(2_950_000), "2.95 Mbit/s");
  assert.equal(bitrate(640_400), "640 kbit/s");
});

test("frame rates are fractions", () => {
  assert.equal(fps("30000/1001"), "29.97 fps");
  assert.equal(fps("30/1"), "30 fps");
  assert.equal(fps(null), "");
  assert.equal(fps("0/0"), "");
});

test("a time in the address is seconds or a timecode, and nonsense is ignored", () => {
  assert.equal(parseTime("12.48"), 12_480);
  assert.equal(parseTime("1:02.5"), 62_500);
  assert.equal(parseTime("-1"), null);
  assert.equal(parseTime("abc"), null);
  assert.equal(parseTime(null), null);
});
