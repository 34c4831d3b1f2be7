/** The words of the contract, `wit/v0.1/action.wit`, as they are in JavaScript. */

/** Bytes with their media type. */
export interface RawPayload {
  contentType: string;
  data: Uint8Array;
}

export interface RawHeader {
  name: string;
  value: Uint8Array;
}

/**
 * What repeating an execution can do to the outside world: nothing (`read`), nothing further (`idempotent`),
 * nothing where the remote knows the idempotency key (`keyed`), or act twice (`unsafe`).
 */
export type Effect = "read" | "idempotent" | "keyed" | "unsafe";

export interface RawDescriptor {
  name: string;
  version: string;
  summary: string;
  documentation: string;
  configSchema: string;
  inputSchema: string | undefined;
  outputSchema: string | undefined;
  examples: { name: string; config: string }[];
  testMethods: string[];
}

/** Something that is wrong with a config, or worth to know about it. */
export interface Issue {
  /** JSON Pointer into the config; empty for the whole of it. */
  pointer: string;
  /** Stable snake_case word. */
  code: string;
  message: string;
}

/** The head of the request that called a webhook endpoint. */
export interface WebhookRequest {
  method: string;
  pathWithQuery: string;
  headers: RawHeader[];
}

/** What set an execution off. */
export type Trigger =
  | { tag: "call" }
  | { tag: "webhook"; val: WebhookRequest }
  | { tag: "schedule"; val: string }
  | { tag: "event" };

export interface RawCall {
  action: string;
  execution: string;
  correlation: string;
  attempt: number;
  idempotencyKey: string;
  deadline: string;
  traceparent: string | undefined;
  trigger: Trigger;
  config: string;
  input: RawPayload;
}

export interface RawOutcome {
  output: RawPayload;
  reply: { status: number; headers: RawHeader[]; body: Uint8Array } | undefined;
}

export type FailureKind =
  | "invalid-config"
  | "invalid-input"
  | "unauthenticated"
  | "rejected"
  | "rate-limited"
  | "unavailable"
  | "bad-response"
  | "internal";

/** What to do after a failure. `retry-after` counts milliseconds. */
export type Advice = { tag: "give-up" } | { tag: "retry" } | { tag: "retry-after"; val: number } | { tag: "in-doubt" };

export interface RawFailure {
  kind: FailureKind;
  message: string;
  advice: Advice;
  details: string | undefined;
}

export type RawReconciliation = { tag: "took-effect"; val: RawOutcome } | { tag: "did-not" } | { tag: "unknown" };

export type RawOutboundError =
  | { tag: "denied" | "name-unknown" | "connect-failed" | "tls-failed" | "bad-request" | "bad-response"; val: string }
  | { tag: "timed-out" | "closed" }
  | { tag: "too-large"; val: number };

/** For a private CA or a client certificate. What is left out is as usual. */
export interface TlsOptions {
  serverName?: string | undefined;
  extraRoots?: string | undefined;
  /** `key`: the handle of the secret that holds it. */
  clientIdentity?: { chain: string; key: string } | undefined;
  alpn?: string[] | undefined;
}

/** The same with nothing left out, which is what the service takes. */
export interface RawTlsOptions {
  serverName: string | undefined;
  extraRoots: string | undefined;
  clientIdentity: { chain: string; key: string } | undefined;
  alpn: string[];
}

/** What a component's module exports as `protocolApi`. */
export interface ProtocolApi {
  describe(): RawDescriptor;
  validateConfig(config: string): { effect: Effect; warnings: Issue[] };
  testConnection(config: string): { summary: string; details: string };
  execute(call: RawCall): RawOutcome;
}

/** What it exports as `reconciler`, if it can. */
export interface Reconciler {
  reconcile(call: RawCall): RawReconciliation;
}
