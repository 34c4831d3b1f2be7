// What github sends, and what it makes of answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, execute, reconcile, Service, testConnection, validate } from "action-protocol/testing";
import { protocolApi, reconciler } from "../src/protocol";

const config = { url: "https://api.github.com/", repository: "acme/rockets", token: "t" };
const at = "2026-11-23T05:08:00Z";
const one = { id: 9, number: 1, title: "T", state: "open", html_url: "u", body: "b", user: { login: "ada" }, labels: [{ name: "bug" }, "x"], created_at: at, updated_at: at };
const said = { id: 5, html_url: "c", body: "hi", user: null, created_at: at, updated_at: at };

test("an issue is created, with a mark that finds it again", () => {
  const service = new Service(() => ({ status: 201, body: one }));
  const { output } = execute(protocolApi, { ...config, operation: "create_issue" }, { title: "T", body: "b", labels: ["bug"] });
  assert.deepEqual([output.number, output.author, output.labels, output.pull_request], [1, "ada", ["bug", "x"], false]);
  const [asked] = service.requests;
  assert.deepEqual([asked?.method, asked?.url, asked?.headers["authorization"]], ["POST", "https://api.github.com/repos/acme/rockets/issues", "Bearer t"]);
  assert.deepEqual(JSON.parse(asked?.body ?? ""), { title: "T", labels: ["bug"], body: "b\n\n<!-- action-service: exe_1 -->" });
});

test("comments, changes and reading", () => {
  const service = new Service((asked) => ({ status: 200, body: asked.url.endsWith("/comments") ? said : one }));
  execute(protocolApi, { ...config, operation: "comment", mark: false }, { number: 1, body: "hi" });
  execute(protocolApi, { ...config, operation: "update_issue" }, { number: 1, state: "closed" });
  execute(protocolApi, { ...config, operation: "get_issue" }, { number: 1 });
  assert.deepEqual(service.requests.map(({ method, url, body }) => [method, url.slice(22), body]), [
    ["POST", "/repos/acme/rockets/issues/1/comments", '{"body":"hi"}'],
    ["PATCH", "/repos/acme/rockets/issues/1", '{"state":"closed"}'],
    ["GET", "/repos/acme/rockets/issues/1", ""],
  ]);
});

test("lists follow their pages as far as they are asked to", () => {
  const page = (count: number) => Array.from({ length: count }, () => one);
  const next = { Link: '<https://api.github.com/p?page=2>; rel="next", <https://api.github.com/p?page=9>; rel="last"' };
  const service = new Service((asked) => (asked.url.includes("page=2") ? { status: 200, body: page(30) } : { status: 200, headers: next, body: page(100) }));
  const list = (max_items: number) => execute(protocolApi, { ...config, operation: "list_issues", max_items }, { state: "all", labels: "a b" }).output;
  const all = list(1000);
  assert.deepEqual([all.items.length, all.more], [130, false]);
  assert.equal(service.requests[0]?.url, "https://api.github.com/repos/acme/rockets/issues?state=all&labels=a%20b&per_page=100");
  const some = list(100);
  assert.deepEqual([some.items.length, some.more], [100, true]);
  const few = list(120);
  assert.deepEqual([few.items.length, few.more, service.requests.length], [120, true, 5]);
});

test("a list that leads to another host is not followed", () => {
  const service = new Service(() => ({ status: 200, headers: { Link: '<https://evil.example/p>; rel="next"' }, body: [one] }));
  assert.equal(execute(protocolApi, { ...config, operation: "list_issues", max_items: 300 }, {}).failure?.kind, "bad-response");
  assert.equal(service.requests.length, 1);
});

test("limits, refusals and doubt have their advice", () => {
  const told = (answer: Answer, operation = "create_issue", input: object = { title: "T" }) => {
    new Service(() => answer);
    const { kind, advice } = execute(protocolApi, { ...config, operation }, input).failure ?? {};
    return [kind, advice?.tag, ...(advice !== undefined && "val" in advice ? [advice.val] : [])];
  };
  const reset = { Date: "Sun, 06 Nov 1994 08:49:00 GMT", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(784111777) };
  assert.deepEqual(told({ status: 403, headers: reset }), ["rate-limited", "retry-after", 38_000]);
  assert.deepEqual(told({ status: 429, headers: { "Retry-After": "5" } }), ["rate-limited", "retry-after", 5000]);
  assert.deepEqual(told({ status: 403, body: { message: "You have exceeded a secondary rate limit." } }), ["rate-limited", "retry-after", 60_000]);
  assert.deepEqual(told({ status: 403, headers: { "X-RateLimit-Remaining": "59" } }), ["unauthenticated", "give-up"]);
  assert.deepEqual(told({ status: 401 }), ["unauthenticated", "give-up"]);
  assert.deepEqual(told({ status: 404 }), ["rejected", "give-up"]);
  assert.deepEqual(told({ status: 422, body: { message: "Validation Failed", errors: [] } }), ["invalid-input", "give-up"]);
  assert.deepEqual(told({ status: 502 }), ["unavailable", "in-doubt"]);
  assert.deepEqual(told({ status: 502 }, "get_issue", { number: 1 }), ["unavailable", "retry"]);
  assert.deepEqual(told({ error: { tag: "closed" } }), ["unavailable", "in-doubt"]);
  assert.deepEqual(told({ status: 201, body: { id: "x" } }), ["bad-response", "give-up"]);
  assert.deepEqual(told({ status: 201, body: one }, "create_issue", { body: "no title" }), ["invalid-input", "give-up"]);
});

test("what is in doubt is looked for by its mark", () => {
  const ours = { ...one, body: "x <!-- action-service: exe_1 -->" };
  const service = new Service((asked) => ({ status: 200, body: asked.url.includes("/comments") ? [{ ...said, body: ours.body }] : [one, ours] }));
  assert.equal(reconcile(reconciler, { ...config, operation: "create_issue" }, { title: "T" }).tag, "took-effect");
  assert.equal(reconcile(reconciler, { ...config, operation: "comment" }, { number: 1, body: "x" }).tag, "took-effect");
  assert.equal(service.requests.every(({ method }) => method === "GET"), true);
  new Service(() => ({ status: 200, body: [] }));
  assert.equal(reconcile(reconciler, { ...config, operation: "create_issue" }, { title: "T" }).tag, "unknown");
});

test("issues are captured once for each change", () => {
  const service = new Service(() => ({ status: 200, body: [one] }));
  for (let round = 0; round < 2; round++) execute(protocolApi, { ...config, operation: "list_issues", capture: true }, {});
  assert.deepEqual(service.items.map(({ key, kind }) => [key, kind]), [[`9:${at}`, "issue"]]);
});

test("a test says what the token may", () => {
  new Service(() => ({ status: 200, headers: { "X-RateLimit-Remaining": "42" }, body: { full_name: "acme/rockets", permissions: { pull: true, push: false } } }));
  const report = testConnection(protocolApi, { ...config, operation: "get_issue" });
  assert.match(report.summary ?? "", /acme\/rockets; the token may pull; 42 requests left/);
});

test("effects follow from the operation", () => {
  const effect = (operation: string, more = {}) => validate(protocolApi, { ...config, operation, ...more });
  assert.deepEqual(["create_issue", "comment", "update_issue", "list_issues"].map((operation) => effect(operation)), ["unsafe", "unsafe", "idempotent", "read"]);
  assert.deepEqual(effect("comment", { capture: true }), ["/capture unused"]);
});
