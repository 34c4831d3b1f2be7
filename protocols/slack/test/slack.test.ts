// What slack sends, and what it makes of answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, type Asked, execute, reconcile, Service, testConnection, validate } from "action-protocol/testing";
import { protocolApi, reconciler } from "../src/protocol";

const bot = { url: "https://slack.com/", token: "xoxb-1", channel: "C0123456" };
const hook = { url: "https://hooks.slack.com", webhook_path: "/services/T0/B0/x" };
const posted: Answer = { status: 200, body: { ok: true, channel: "C0123456", ts: "1.2" } };

function failed(answer: Answer, config: object = bot): (string | number | undefined)[] {
  new Service(() => answer);
  const { kind, advice } = execute(protocolApi, config, "hello").failure ?? {};
  return [kind, advice?.tag, ...(advice !== undefined && "val" in advice ? [advice.val] : [])];
}

test("a message is posted with the key that finds it again", () => {
  const service = new Service(() => posted);
  assert.deepEqual(execute(protocolApi, bot, { text: "hi", thread_ts: "1.1" }).output, { channel: "C0123456", ts: "1.2" });
  const [asked] = service.requests as [Asked];
  assert.deepEqual([asked.method, asked.url, asked.headers["authorization"]], ["POST", "https://slack.com/api/chat.postMessage", "Bearer xoxb-1"]);
  assert.deepEqual(JSON.parse(asked.body), {
    text: "hi",
    thread_ts: "1.1",
    channel: "C0123456",
    metadata: { event_type: "action_service", event_payload: { key: "exe_1" } },
  });
});

test("a webhook gets the message alone", () => {
  const service = new Service(() => ({ status: 200, body: "ok" }));
  assert.deepEqual(execute(protocolApi, hook, "hi").output, { channel: null, ts: null });
  assert.deepEqual([service.requests[0]?.url, service.requests[0]?.body], ["https://hooks.slack.com/services/T0/B0/x", '{"text":"hi"}']);
});

test("a secret path is revealed, and only a path is taken", () => {
  const handle = `sec_${"0".repeat(32)}`;
  const service = new Service(() => ({ status: 200, body: "ok" }));
  service.secret(handle, "services/T1/B1/y");
  execute(protocolApi, { ...hook, webhook_path: handle }, "hi");
  assert.equal(service.requests[0]?.url, "https://hooks.slack.com/services/T1/B1/y");
  for (const path of ["https://evil.example/x", "a b", "x?y", "../@evil"]) {
    assert.equal(execute(protocolApi, { ...hook, webhook_path: path }, "hi").failure?.kind, "invalid-config", path);
  }
  assert.equal(service.requests.length, 1);
});

test("Slack's errors become failures with advice", () => {
  const word = (error: string, headers = {}): Answer => ({ status: 200, headers, body: { ok: false, error } });
  assert.deepEqual(failed(word("invalid_auth")), ["unauthenticated", "give-up"]);
  assert.deepEqual(failed(word("channel_not_found")), ["rejected", "give-up"]);
  assert.deepEqual(failed(word("msg_too_long")), ["invalid-input", "give-up"]);
  assert.deepEqual(failed(word("ratelimited", { "Retry-After": "3" })), ["rate-limited", "retry-after", 3000]);
  assert.deepEqual(failed(word("service_unavailable")), ["unavailable", "retry"]);
  assert.deepEqual(failed(word("fatal_error")), ["unavailable", "in-doubt"]);
  assert.deepEqual(failed({ status: 429, headers: { "Retry-After": "30" } }), ["rate-limited", "retry-after", 30_000]);
  assert.deepEqual(failed({ status: 504 }), ["unavailable", "in-doubt"]);
  assert.deepEqual(failed({ status: 200, body: "<html>" }), ["bad-response", "give-up"]);
  assert.deepEqual(failed({ error: { tag: "timed-out" } }), ["unavailable", "in-doubt"]);
  assert.deepEqual(failed({ status: 404, body: "no_service" }, hook), ["rejected", "give-up"]);
  assert.deepEqual(failed({ status: 403, body: "invalid_token" }, hook), ["unauthenticated", "give-up"]);
  assert.deepEqual(failed({ status: 400, body: "invalid_payload" }, hook), ["invalid-input", "give-up"]);
  assert.deepEqual(failed({ status: 429, headers: { "Retry-After": "1" }, body: "rate_limited" }, hook), ["rate-limited", "retry-after", 1000]);
});

test("what cannot be posted is not sent", () => {
  const service = new Service(() => posted);
  for (const input of [{}, "", { text: "" }, { text: 1 }, { text: "x", colour: 1 }]) {
    assert.equal(execute(protocolApi, bot, input).failure?.kind, "invalid-input", JSON.stringify(input));
  }
  assert.equal(execute(protocolApi, { url: bot.url, token: "x" }, "hi").failure?.kind, "invalid-input");
  assert.equal(execute(protocolApi, hook, { text: "x", channel: "C1" }).failure?.kind, "invalid-input");
  assert.equal(service.requests.length, 0);
});

test("a message in doubt is looked for by its key", () => {
  const ours = { ts: "5.5", metadata: { event_type: "action_service", event_payload: { key: "exe_1" } } };
  const service = new Service(() => ({ status: 200, body: { ok: true, messages: [{ ts: "9" }, ours] } }));
  assert.equal(reconcile(reconciler, bot, { text: "x" }).tag, "took-effect");
  assert.match(service.requests[0]?.url ?? "", /conversations\.history\?channel=C0123456&limit=100&include_all_metadata=true$/);
  assert.equal(service.requests[0]?.method, "GET");
  new Service(() => ({ status: 200, body: { ok: true, messages: [{ ts: "9" }] } }));
  assert.equal(reconcile(reconciler, bot, { text: "x" }).tag, "unknown");
  const silent = new Service();
  assert.equal(reconcile(reconciler, hook, "x").tag, "unknown");
  assert.equal(reconcile(reconciler, { ...bot, channel: "#ops" }, "x").tag, "unknown");
  assert.equal(silent.requests.length, 0);
});

test("a test says who the token is, and of a webhook only what it can", () => {
  new Service(() => ({ status: 200, body: { ok: true, team: "T", user: "bot", url: "u" } }));
  assert.match(testConnection(protocolApi, bot).summary ?? "", /bot in T/);
  new Service(() => ({ status: 200, body: { ok: false, error: "token_revoked" } }));
  assert.equal(testConnection(protocolApi, bot).failure?.kind, "unauthenticated");
  new Service(() => ({ status: 405, body: "invalid_method" }));
  assert.match(testConnection(protocolApi, hook).summary ?? "", /answered 405/);
  new Service(() => ({ status: 404, body: "no_service" }));
  assert.equal(testConnection(protocolApi, hook).failure?.kind, "rejected");
});

test("configs", () => {
  assert.equal(validate(protocolApi, bot), "unsafe");
  assert.deepEqual(validate(protocolApi, { ...hook, channel: "C1" }), ["/channel unused"]);
});
