// The SDK itself: types from schemas, checks, texts, failures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BadResponse, capture, check, decode, defineProtocol, encode, type FromSchema, http, InvalidInput, journal, Payload, Rejected, type Schema, secrets, tlsOptions } from "action-protocol";
import { execute, Service, testConnection, validate } from "action-protocol/testing";
import { JSON_DEPTH_MAX, parseJson, whole } from "../src/boundary";
import { seed } from "../src/random";

const schema = {
  type: "object",
  properties: {
    url: { type: "string", pattern: "^https?://" },
    mode: { enum: ["a", "b"] },
    count: { type: "integer", minimum: 1, maximum: 3 },
    tags: { type: "array", items: { type: "string", maxLength: 2 }, maxItems: 2 },
    extra: { type: "object", additionalProperties: { type: "number" } },
    either: { anyOf: [{ type: "string" }, { type: "null" }] },
  },
  required: ["url", "mode"],
  additionalProperties: false,
} as const satisfies Schema;

// A type that does not follow from the schema does not compile.
const typed: FromSchema<typeof schema> = { url: "http://x", mode: "a", count: 1, tags: ["t"], extra: { n: 1 }, either: null };
// @ts-expect-error `c` is none of the modes.
const wrongMode: FromSchema<typeof schema> = { url: "http://x", mode: "c" };
// @ts-expect-error `url` is required.
const missing: FromSchema<typeof schema> = { mode: "a" };

const echo = defineProtocol({
  name: "echo",
  version: "0.1.0",
  summary: "s",
  config: schema,
  validate: (config) => (config.url === "" ? [{ pointer: "/url", code: "empty", message: "is empty" }] : { effect: "read" }),
  testConnection: () => ({ summary: "s" }),
  execute(call) {
    if (call.config.mode === "b") return Payload.json({ revealed: decode(secrets.reveal(call.config.url)) });
    const answer = http.get(call.config.url, { bearer: "t" });
    if (!answer.ok) throw answer.failure();
    capture.emit("page", answer.payload(), "one");
    return answer.payload();
  },
});

test("a value is checked by its schema, everything at once", () => {
  assert.deepEqual(check(schema, typed), []);
  const told = check(schema, { url: "x", mode: "c", count: 4, tags: ["abc", "", ""], extra: { "a/b": "1" }, either: 1, colour: 1 });
  const places = told.map((issue) => `${issue.pointer} ${issue.code}`).sort();
  assert.deepEqual(places, ["/colour unknown_property", "/count maximum", "/either any_of", "/extra/a~1b type", "/mode enum", "/tags max_items", "/tags/0 max_length", "/url pattern"]);
  assert.deepEqual(check(schema, wrongMode).length + check(schema, missing).length, 2);
});

test("texts are UTF-8, and what is none is replaced", () => {
  for (const text of ["", "abc", "äöü", "€", "𝄞", "\u0000", "x".repeat(10_000), "x€".repeat(5_000), "xx𝄞".repeat(5_000)]) assert.equal(decode(encode(text)), text);
  for (const text of ["ä€𝄞", "\ud800", "a\udc00b"]) assert.deepEqual([...encode(text)], [...new TextEncoder().encode(text)]);
  for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82, 0x41], [0xf5, 0x80]]) {
    assert(decode(new Uint8Array(bytes)).includes("\ufffd"), bytes.join());
    const within = new Uint8Array([...encode("ä".repeat(4094)), ...bytes, ...encode("z".repeat(5_000))]);
    assert.match(decode(within), /^ä{4094}\ufffd+A?z{5000}$/, bytes.join());
  }
});

test("statuses and errors become failures with advice", () => {
  const told = (answer: object) => {
    new Service(() => answer as never);
    const { kind, advice } = execute(echo, { url: "https://x/", mode: "a" }).failure ?? {};
    return [kind, advice?.tag, advice !== undefined && "val" in advice ? advice.val : undefined];
  };
  assert.deepEqual(told({ status: 401 }), ["unauthenticated", "give-up", undefined]);
  assert.deepEqual(told({ status: 404 }), ["rejected", "give-up", undefined]);
  assert.deepEqual(told({ status: 429, headers: { "Retry-After": "2" } }), ["rate-limited", "retry-after", 2000]);
  const dates = { Date: "Sun, 06 Nov 1994 08:49:00 GMT", "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT" };
  assert.deepEqual(told({ status: 503, headers: dates }), ["unavailable", "retry-after", 37000]);
  assert.deepEqual(told({ status: 502 }), ["unavailable", "in-doubt", undefined]);
  assert.deepEqual(told({ error: { tag: "timed-out" } }), ["unavailable", "retry", undefined]);
  assert.deepEqual(told({ error: { tag: "denied", val: "no" } }), ["invalid-config", "give-up", undefined]);
  assert.deepEqual(told({ error: { tag: "tls-failed", val: "no" } }), ["bad-response", "give-up", undefined]);
});

test("what is thrown becomes a failure, never a trap", () => {
  const service = new Service();
  assert.equal(execute(echo, { url: "sec_0", mode: "b" }).failure?.kind, "invalid-config");
  service.secret("sec_1", "value");
  assert.deepEqual(execute(echo, { url: "sec_1", mode: "b" }).output, { revealed: "value" });
  const broken = defineProtocol({ ...definition, execute: () => (undefined as never as { x: { y: Payload } }).x.y });
  assert.equal(execute(broken, {}).failure?.kind, "internal");
  assert.match(service.logs.at(-1) ?? "", /TypeError/);
  assert.deepEqual(validate(defineProtocol({ ...definition, validate: () => JSON.parse("{") }), {}), [" internal"]);
  assert.deepEqual(validate(echo, { mode: "c" }), ["/url required", "/mode enum"]);
});

const definition = {
  name: "x",
  version: "0.1.0",
  summary: "s",
  config: {},
  validate: () => ({ effect: "read" as const }),
  testConnection: () => ({ summary: "s" }),
  execute: () => Payload.text(""),
};

test("an input that does not fit says where", () => {
  const input = Payload.json({ a: ["x", 1] });
  const parse = () => input.parse({ type: "object", properties: { a: { type: "array", items: { type: "string" } } } });
  assert.throws(parse, (error: unknown) => error instanceof InvalidInput && error.message.includes("/a/1"));
});

test("what was captured is kept once", () => {
  const service = new Service(() => ({ status: 200, body: "page" }));
  for (let round = 0; round < 2; round++) assert.equal(execute(echo, { url: "https://x/", mode: "a" }).failure, undefined);
  assert.deepEqual(service.items, [{ key: "one", kind: "page", content: "page" }]);
  assert.equal(service.requests[0]?.headers["authorization"], "Bearer t");
});

test("half characters of a remote are replaced wherever they go", () => {
  const half = "\ud800";
  const said = () => http.get(`https://x/${half}`, { headers: { "X-A": half } }).json({ type: "array", items: { type: "string" } })[0] as string;
  const halves = defineProtocol({
    ...definition,
    validate: () => [{ pointer: `/${half}`, code: half, message: half }],
    testConnection: () => ({ summary: half, details: { said: half } }),
    execute(call) {
      const told = said();
      journal.warn(told);
      capture.emit("page", Payload.text(told), `k${told}`);
      capture.setStateJson(`s${told}`, { [told]: told });
      if (call.input.text() === "fail") throw new Rejected(told, { details: { [told]: told } });
      return { output: Payload.json({ [told]: told, "\\ud800": "\\ud800" }), reply: { status: 200, headers: { [told]: told } } };
    },
  });
  const service = new Service(() => ({ status: 200, body: '["\\ud800"]' }));
  const { failure } = execute(halves, {}, "fail");
  assert.deepEqual([failure?.message, failure?.details], ["\ufffd", '{"\ufffd":"\ufffd"}']);
  // A backslash that the text itself has stays one.
  assert.deepEqual(execute(halves, {}).output, { "\ufffd": "\ufffd", "\\ud800": "\\ud800" });
  assert.deepEqual([service.logs[0], service.items[0]?.key, service.requests[0]?.url], ["\ufffd", "k\ufffd", "https://x/\ufffd"]);
  assert.deepEqual(validate(halves, {}), ["/\ufffd \ufffd"]);
  assert.deepEqual(testConnection(halves, {}), { summary: "\ufffd", details: { said: "\ufffd" } });
  assert.equal(whole("🦀 ä\udd80"), "🦀 ä\ufffd");
});

test("JSON is as deep as the service reads it and no deeper", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  const flat = JSON.stringify(Array.from({ length: 1000 }, () => ({ a: ["[[[", '\\"[[', "{{{".repeat(100), "\\"] })));
  assert.equal((parseJson(flat) as unknown[]).length, 1000);
  assert.equal((parseJson(nested(JSON_DEPTH_MAX)) as unknown[]).length, 1);
  for (const deep of [nested(JSON_DEPTH_MAX + 1), nested(100_000), '{"a":'.repeat(100_000), '["\\\\",'.repeat(200)]) {
    assert.throws(() => parseJson(deep), /nested more than/);
    assert.throws(() => Payload.bytes("application/json", encode(deep)).parse({}), InvalidInput);
    new Service(() => ({ status: 200, body: deep }));
    assert.throws(() => http.get("https://x/").json({}), BadResponse);
  }
});

test("what a config says about TLS goes along with the request", () => {
  const service = new Service(() => ({ status: 200 }));
  http.get("https://x/", { tls: { extraRoots: "R" } });
  http.get("https://x/", { tls: tlsOptions({ client_certificate: { chain: "C", key: "sec_1" } }) });
  const usual = { serverName: undefined, extraRoots: undefined, clientIdentity: undefined, alpn: [] };
  const told = service.requests.map(({ tls }) => tls);
  assert.deepEqual(told, [{ ...usual, extraRoots: "R" }, { ...usual, clientIdentity: { chain: "C", key: "sec_1" } }]);
});

test("random numbers differ from seed to seed, and are spread", () => {
  const draws = (text: string) => (seed(text), Array.from({ length: 1000 }, () => Math.random()));
  const [one, other] = [draws("exe_1 1"), draws("exe_1 2")];
  assert.deepEqual(draws("exe_1 1"), one);
  assert(one.every((value, index) => value >= 0 && value < 1 && value !== other[index]));
  const mean = one.reduce((sum, value) => sum + value) / one.length;
  assert(mean > 0.45 && mean < 0.55, String(mean));
});
