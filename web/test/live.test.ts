import assert from "node:assert/strict";
import { test } from "node:test";
import { changeOf } from "../src/live.ts";

test("an event is a whole job, or names one", () => {
  const job = { id: "job_1", status: "running", parts: {}, progress: {} };
  assert.deepEqual(changeOf(JSON.stringify(job)), { id: "job_1", job });
  assert.deepEqual(changeOf('{"id":"job_2","status":"queued"}'), { id: "job_2", job: null });
  assert.equal(changeOf("not json"), null);
  assert.equal(changeOf("[]"), null);
});
