import assert from "node:assert/strict";
import { test } from "node:test";
import { paths, route } from "../src/router.ts";

const at = (path: string): URL => new URL(path, "http://127.0.0.1:8080");

test("every path leads back to its page", () => {
  assert.deepEqual(route(at("/dashboard/")), { page: "jobs", status: null, q: "" });
  assert.deepEqual(route(at(paths.jobs({ status: "failed", q: "a b" }))), { page: "jobs", status: "failed", q: "a b" });
  assert.deepEqual(route(at(paths.job("job_1", { t_ms: 12_480, tab: "log" }))), {
    page: "job", id: "job_1", t: "12.480", tab: "log",
  });
  assert.deepEqual(route(at(paths.search("red & blue"))), { page: "search", q: "red & blue" });
});

test("an unknown path or status is not taken for another", () => {
  assert.equal(route(at("/dashboard/nothing")).page, "missing");
  assert.deepEqual(route(at("/dashboard/jobs?status=evil")), { page: "jobs", status: null, q: "" });
  assert.equal(route(at("/dashboard/jobs/%E0%A4%A")).page, "job");
});
