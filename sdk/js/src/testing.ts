/**
 * What stands in for the service while a protocol's own tests run in Node: it answers requests with a function,
 * keeps what is captured, logged and set, and lets nothing out.
 *
 *     const service = new Service(() => ({ status: 200, body: "…" }));
 *     const { output } = execute(protocolApi, { url: "https://example.com/" }, {});
 */

import type { ProtocolApi, RawCall, RawFailure, RawOutboundError, RawTlsOptions, Reconciler, RawReconciliation } from "./contract";
import { decode, encode } from "./text";
import { failing, host } from "./testing-host";

/** An answer, or an error of the contract. */
export type Answer = { status: number; headers?: Record<string, string>; body?: unknown } | { error: RawOutboundError };

/** What was asked. */
export interface Asked {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  tls?: RawTlsOptions | undefined;
}

/** Takes the service's place from here on, anew. */
export class Service {
  constructor(answer: (asked: Asked) => Answer = () => ({ error: { tag: "denied", val: "no test answers" } }), { captures = true } = {}) {
    Object.assign(host, { requests: [], items: [], logs: [], captures, state: new Map(), secrets: new Map() });
    host.answer = (request) => {
      const given = answer(asked(request));
      if ("error" in given) return failing(given.error);
      const headers = Object.entries(given.headers ?? {}).map(([name, value]) => ({ name, value: encode(value) }));
      const body = given.body === undefined ? "" : typeof given.body === "string" ? given.body : JSON.stringify(given.body);
      return { status: given.status, headers, body: encode(body) };
    };
  }

  get requests(): Asked[] {
    return host.requests.map(asked);
  }

  get items(): { key: string | undefined; kind: string; content: string }[] {
    return host.items.map(({ key, kind, content }) => ({ key, kind, content: decode(content.data) }));
  }

  get logs(): string[] {
    return host.logs;
  }

  /** Lets a handle be revealed. */
  secret(handle: string, value: string): void {
    host.secrets.set(handle, encode(value));
  }
}

function asked(request: (typeof host.requests)[number]): Asked {
  const headers = Object.fromEntries(request.headers.map(({ name, value }) => [name.toLowerCase(), decode(value)]));
  return { method: request.method, url: request.url, headers, body: decode(request.body ?? new Uint8Array(0)), tls: request.tls };
}

/** What `execute` gave: the output as JSON or text, or the failure. */
export function execute(api: ProtocolApi, config: unknown, input: unknown = {}): { output?: any; failure?: RawFailure } {
  try {
    const { output } = api.execute(call(config, input));
    const text = decode(output.data);
    return { output: output.contentType === "application/json" ? JSON.parse(text) : text };
  } catch (failure) {
    return { failure: failure as RawFailure };
  }
}

/** The report, or the failure. */
export function testConnection(api: ProtocolApi, config: unknown): { summary?: string; details?: any; failure?: RawFailure } {
  try {
    const { summary, details } = api.testConnection(JSON.stringify(config));
    return { summary, details: JSON.parse(details) };
  } catch (failure) {
    return { failure: failure as RawFailure };
  }
}

/** The effect, or the issues as `pointer code`. */
export function validate(api: ProtocolApi, config: unknown): string | string[] {
  try {
    return api.validateConfig(JSON.stringify(config)).effect;
  } catch (issues) {
    return (issues as { pointer: string; code: string }[]).map((issue) => `${issue.pointer} ${issue.code}`);
  }
}

/** What `reconcile` answers. */
export function reconcile(reconciler: Reconciler, config: unknown, input: unknown = {}): RawReconciliation {
  return reconciler.reconcile(call(config, input));
}

function call(config: unknown, input: unknown): RawCall {
  const isText = typeof input === "string";
  return {
    action: "act_1",
    execution: "exe_1",
    correlation: "exe_1",
    attempt: 1,
    idempotencyKey: "exe_1",
    deadline: "2030-01-01T00:00:00Z",
    traceparent: undefined,
    trigger: { tag: "call" },
    config: JSON.stringify(config),
    input: { contentType: isText ? "text/plain; charset=utf-8" : "application/json", data: encode(isText ? input : JSON.stringify(input)) },
  };
}
