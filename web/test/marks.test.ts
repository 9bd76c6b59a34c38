import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces } from "../src/marks.ts";

test("marks cut a snippet into pieces", () => {
  assert.deepEqual(pieces("a <mark>red</mark> car"), [
    { text: "a ", marked: false },
    { text: "red", marked: true },
    { text: " car", marked: false },
  ]);
});

test("entities are unescaped once", () => {
  assert.deepEqual(pieces("&lt;b&gt; &amp;lt; &quot;x&#x27;"), [{ text: "<b> &lt; \"x'", marked: false }]);
});

test("a tag that slipped through stays text", () => {
  assert.deepEqual(pieces("<img src=x onerror=alert(1)>"), [{ text: "<img src=x onerror=alert(1)>", marked: false }]);
});
