/** The service's functions as they are in tests: all four interfaces in one module. See `testing.ts`. */

import type { RawHeader, RawPayload, RawTlsOptions } from "./contract";

interface Request {
  method: string;
  url: string;
  headers: RawHeader[];
  body: Uint8Array | undefined;
  tls?: RawTlsOptions | undefined;
}

/** What tests look at and set. */
export const host = {
  answer: undefined as ((request: Request) => { status: number; headers: RawHeader[]; body: Uint8Array }) | undefined,
  requests: [] as Request[],
  items: [] as { key: string | undefined; kind: string; content: RawPayload }[],
  captures: true,
  state: new Map<string, Uint8Array>(),
  secrets: new Map<string, Uint8Array>(),
  logs: [] as string[],
};

/** An error as the component's runtime throws it. */
function thrown(payload: unknown): Error {
  return Object.assign(new Error("see payload"), { payload });
}

function store(): Map<string, Uint8Array> {
  if (!host.captures) throw thrown({ tag: "unavailable", val: "capturing is not available" });
  return host.state;
}

export function log(_level: string, message: string): void {
  host.logs.push(message);
}

export function progress(): void {}

export function emit(item: { key: string | undefined; kind: string; content: RawPayload }): void {
  store();
  if (item.key === undefined || !host.items.some((other) => other.key === item.key)) host.items.push(item);
}

export const getState = (key: string): Uint8Array | undefined => store().get(key);
export const setState = (key: string, value: Uint8Array): void => void store().set(key, value);
export const deleteState = (key: string): void => void store().delete(key);
export const checkpoint = (): number => (store(), host.items.length);

export function reveal(handle: string): Uint8Array {
  const value = host.secrets.get(handle);
  if (value === undefined) throw thrown("unknown-handle");
  return value;
}

export function hmacSha256(): Uint8Array {
  throw thrown("not-granted");
}

export function send(request: Request): { status: number; headers: RawHeader[]; body: Uint8Array } {
  host.requests.push(request);
  if (host.answer === undefined) throw thrown({ tag: "denied", val: "no test answers" });
  return host.answer(request);
}

export function connect(): never {
  throw thrown({ tag: "denied", val: "there are no connections in tests" });
}

/** Makes `send` fail with this error of the contract. */
export function failing(payload: unknown): never {
  throw thrown(payload);
}
