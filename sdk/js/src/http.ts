/**
 * An HTTP client: the service resolves names, checks them against the action's grants, connects, does TLS and
 * puts secrets in the place of their handles. None of that is in the component.
 */

import { send } from "julee:action/outbound@0.1.0";
import { lowered, parseJson, toJson } from "./boundary";
import type { Advice, Effect, RawOutboundError, RawTlsOptions, TlsOptions } from "./contract";
import { BadResponse, Failure, inDoubt, InvalidConfig, giveUp, RateLimited, Rejected, retry, retryAfter, Unauthenticated, Unavailable, withIssues } from "./failure";
import { isJson, Payload } from "./payload";
import { check, type FromSchema, type Schema } from "./schema";
import { decode, encode, latin1 } from "./text";

/** Enough of a body to see what the remote complains about. */
const DETAILS_CHARACTERS_MAX = 4096;

/** How a request is made. */
export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** A value as the body, as JSON. */
  json?: unknown;
  /** A bearer token, which may be a secret's handle. */
  bearer?: string | undefined;
  timeoutMs?: number | undefined;
  tls?: TlsOptions | undefined;
  /** What the request does. GET and HEAD read; the worst is taken for granted of the rest. */
  effect?: Effect;
}

const WORDS: Record<RawOutboundError["tag"], string> = {
  denied: "denied",
  "name-unknown": "the name is unknown",
  "connect-failed": "no connection",
  "tls-failed": "no TLS",
  "timed-out": "it took too long",
  closed: "the connection was closed",
  "too-large": "the answer is over so many bytes",
  "bad-request": "the request makes no sense",
  "bad-response": "the answer makes no sense",
};

/** No answer, and why. `word` is the contract's. */
export class OutboundError extends Error {
  readonly word: RawOutboundError["tag"];
  readonly effect: Effect;

  constructor(raw: RawOutboundError, effect: Effect) {
    super("val" in raw ? `${WORDS[raw.tag]}: ${raw.val}` : WORDS[raw.tag]);
    this.word = raw.tag;
    this.effect = effect;
  }

  /**
   * What it means for an execution with this effect. Where the request may have been carried out and nobody
   * knows, a repeat is right only if it does no harm.
   */
  failure(effect: Effect = this.effect): Failure {
    const repeat = effect === "unsafe" ? inDoubt : retry;
    switch (this.word) {
      case "denied":
      case "bad-request":
        return new InvalidConfig(this.message);
      case "name-unknown":
      case "connect-failed":
        return new Unavailable(this.message);
      case "timed-out":
      case "closed":
        return new Unavailable(this.message, { advice: repeat });
      case "bad-response":
        return new BadResponse(this.message, { advice: repeat });
      default: // tls-failed, too-large: a repeat would bring the same
        return new BadResponse(this.message);
    }
  }
}

/** An answer, whatever its status. */
export class Response {
  constructor(
    readonly status: number,
    readonly headers: readonly (readonly [string, string])[],
    readonly body: Uint8Array,
    readonly url: string,
  ) {}

  /** The same answer under another URL, for messages: where the URL that was asked holds a secret. */
  named(url: string): Response {
    return new Response(this.status, this.headers, this.body, url);
  }

  /** Whether the status is 2xx. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The first header of this name. */
  header(name: string): string | undefined {
    return this.headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** Whether the content type says JSON. */
  get isJson(): boolean {
    return isJson(this.header("content-type") ?? "");
  }

  /** The body as text; what is not UTF-8 in it is replaced. */
  text(): string {
    return decode(this.body);
  }

  /** The body's JSON, checked against a schema. Throws `BadResponse` with every place where it does not fit. */
  json<const S extends Schema>(schema: S): FromSchema<S> {
    let value: unknown;
    try {
      value = parseJson(this.text());
    } catch {
      throw new BadResponse(`${withoutQuery(this.url)} answered what is not JSON`, { details: this.excerpt() });
    }
    const issues = check(schema, value);
    if (issues.length > 0) throw withIssues(BadResponse, `the answer of ${withoutQuery(this.url)} does not fit`, issues);
    return value as FromSchema<S>;
  }

  /** The body with its content type. */
  payload(): Payload {
    return new Payload(this.header("content-type") ?? "application/octet-stream", this.body);
  }

  /** When the remote says that it is. Spans are measured by it, since its clock and ours may differ. */
  now(): number {
    const date = Date.parse(this.header("date") ?? "");
    return Number.isNaN(date) ? Date.now() : date;
  }

  /** How long `Retry-After` asks to wait, in milliseconds. */
  retryAfterMs(): number | undefined {
    const value = (this.header("retry-after") ?? "").trim();
    if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
    const then = value === "" ? Number.NaN : Date.parse(value);
    return Number.isNaN(then) ? undefined : Math.max(0, then - this.now());
  }

  /** Status and the body's beginning, for the details of a failure. */
  excerpt(): { status: number; body: string } {
    // No character has more than four bytes.
    const beginning = decode(this.body.subarray(0, DETAILS_CHARACTERS_MAX * 4));
    return { status: this.status, body: beginning.slice(0, DETAILS_CHARACTERS_MAX) };
  }

  /** What a status that was not expected means for an execution with this effect. */
  failure(effect: Effect = "unsafe"): Failure {
    const { status } = this;
    const wait = this.retryAfterMs();
    const again: Advice = wait === undefined ? retry : retryAfter(wait);
    const message = `${withoutQuery(this.url)} answered ${status}`;
    const details = this.excerpt();
    if (status === 401 || status === 403 || status === 407) return new Unauthenticated(message, { details });
    // The remote did not begin with it.
    if (status === 408 || status === 425 || status === 429) return new RateLimited(message, { advice: again, details });
    // A gateway says that it does not know what became of the request.
    if ((status === 502 || status === 504) && effect === "unsafe") return new Unavailable(message, { advice: inDoubt, details });
    if (status >= 500 && status !== 501 && status !== 505) return new Unavailable(message, { advice: again, details });
    if (status < 300) return new BadResponse(message, { advice: giveUp, details });
    return new Rejected(message, { details });
  }
}

/** Sends one request and gives the whole of its answer. Redirects are not followed. */
export function request(url: string, options: RequestOptions = {}): Response {
  const method = options.method ?? "GET";
  const headers = Object.entries(options.headers ?? {});
  const has = (name: string) => headers.some(([key]) => key.toLowerCase() === name);
  let { body } = options;
  if (options.json !== undefined) {
    body = encode(toJson(options.json));
    if (!has("content-type")) headers.push(["Content-Type", "application/json"]);
  }
  if (options.bearer !== undefined) headers.push(["Authorization", `Bearer ${options.bearer}`]);
  const effect = options.effect ?? (method === "GET" || method === "HEAD" ? "read" : "unsafe");
  const raw = headers.map(([name, value]) => ({ name, value: encode(value) }));
  const answer = asked(effect, () => send(lowered({ method, url, headers: raw, body, timeoutMs: options.timeoutMs, tls: rawTls(options.tls) })));
  const got = answer.headers.map(({ name, value }) => [name, latin1(value).trim()] as const);
  return new Response(answer.status, got, answer.body, url);
}

/** A GET. */
export const get = (url: string, options: RequestOptions = {}): Response => request(url, { ...options, method: "GET" });

/** A HEAD: what GET would give, without its body. */
export const head = (url: string, options: RequestOptions = {}): Response => request(url, { ...options, method: "HEAD" });

/** A POST. */
export const post = (url: string, options: RequestOptions = {}): Response => request(url, { ...options, method: "POST" });

/** Options as the service takes them. */
export function rawTls(tls: TlsOptions | undefined): RawTlsOptions | undefined {
  return tls && { serverName: tls.serverName, extraRoots: tls.extraRoots, clientIdentity: tls.clientIdentity, alpn: tls.alpn ?? [] };
}

/** A query of these pairs, with its question mark; what is undefined is left out. */
export function query(pairs: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(pairs).filter(([, value]) => value !== undefined);
  const written = given.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return written.length > 0 ? `?${written.join("&")}` : "";
}

/** Scheme, host and port of an http or https URL; undefined for anything else. */
export function origin(url: string): string | undefined {
  return /^https?:\/\/[^/?#@\s\\]+/i.exec(url)?.[0].toLowerCase();
}

/** Calls the service; what it throws is given its class. */
export function asked<T>(effect: Effect, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const payload = (error as { payload?: RawOutboundError }).payload;
    if (payload?.tag !== undefined && payload.tag in WORDS) throw new OutboundError(payload, effect);
    throw error;
  }
}

/** A URL for a message: its query may hold what is nobody's business. */
function withoutQuery(url: string): string {
  return url.split("?")[0] ?? url;
}
