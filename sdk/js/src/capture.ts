/**
 * What comes in from outside, and where its reading stands. Nothing given here is visible to anyone until the
 * attempt succeeds or `checkpoint` returns; then all of it is, at once, with the state that was set.
 */

import * as raw from "julee:action/capture@0.1.0";
import { lowered, parseJson, whole } from "./boundary";
import { type Failure, Internal, Rejected, Unavailable } from "./failure";
import { Payload } from "./payload";
import { check, type FromSchema, type Schema } from "./schema";
import { decode } from "./text";

/** Something was not taken: it is too large, or the service cannot take it now. */
export class CaptureError extends Error {
  readonly word: "too-large" | "unavailable";

  constructor(word: "too-large" | "unavailable", message: string) {
    super(message);
    this.word = word;
  }

  /** What it means for an execution that does not go on without. */
  failure(): Failure {
    return this.word === "too-large" ? new Rejected(this.message) : new Unavailable(this.message);
  }
}

/**
 * Captures a piece of information. `kind` is a short snake_case name. With a `key` it is captured once: what this
 * action captured under it before is dropped.
 */
export function emit(kind: string, content: Payload, key?: string): void {
  asked(() => raw.emit(lowered({ key, kind, content: { contentType: content.contentType, data: content.data } })));
}

/** What the action's own store holds under this name. */
export function state(key: string): Uint8Array | undefined {
  return asked(() => raw.getState(whole(key))) ?? undefined;
}

/** Puts bytes into the action's store. */
export function setState(key: string, value: Uint8Array): void {
  asked(() => raw.setState(whole(key), value));
}

/** Takes a name out of the action's store. */
export function deleteState(key: string): void {
  asked(() => raw.deleteState(whole(key)));
}

/** What `setStateJson` put under this name. State that does not fit is a defect: it was another version's. */
export function stateJson<const S extends Schema>(key: string, schema: S): FromSchema<S> | undefined {
  const found = state(key);
  if (found === undefined) return undefined;
  const value: unknown = parseJson(decode(found));
  if (check(schema, value).length > 0) throw new Internal(`the state ${key} does not fit`);
  return value as FromSchema<S>;
}

/** Puts a value into the action's store, as JSON. */
export function setStateJson(key: string, value: unknown): void {
  setState(key, Payload.json(value).data);
}

/** Makes what was emitted and set so far durable. Says how many items were new. */
export function checkpoint(): number {
  return asked(() => raw.checkpoint());
}

function asked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const payload = (error as { payload?: { tag: "too-large" | "unavailable"; val: string } }).payload;
    if (payload?.tag === "too-large" || payload?.tag === "unavailable") throw new CaptureError(payload.tag, payload.val);
    throw error;
  }
}
