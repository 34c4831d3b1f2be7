/** Failures: one class for each kind, with the advice that it usually carries. */

import { lowered, toJson } from "./boundary";
import type { Advice, FailureKind, Issue, RawFailure } from "./contract";

/** Give up: a repeat would end the same way. */
export const giveUp: Advice = { tag: "give-up" };

/** Try again by the action's own schedule. */
export const retry: Advice = { tag: "retry" };

/** It may or may not have taken effect. */
export const inDoubt: Advice = { tag: "in-doubt" };

/** Not before this many milliseconds; at most what the contract can carry, 49 days. */
export function retryAfter(milliseconds: number): Advice {
  return { tag: "retry-after", val: Math.min(Math.max(Math.ceil(milliseconds), 0), 0xffffffff) };
}

/** What may be said with a failure. */
export interface FailureOptions {
  advice?: Advice;
  /** For a program to read: anything that JSON can hold. */
  details?: unknown;
}

/** Why an execution did not succeed. Throw one of its kinds. */
export class Failure extends Error {
  readonly kind: FailureKind;
  readonly advice: Advice;
  readonly details: unknown;

  constructor(kind: FailureKind, message: string, options: FailureOptions = {}) {
    super(message);
    this.kind = kind;
    this.advice = options.advice ?? (kind === "rate-limited" || kind === "unavailable" ? retry : giveUp);
    this.details = options.details;
  }

  /** As the contract has it. */
  toWit(): RawFailure {
    const details = this.details === undefined ? undefined : toJson(this.details);
    return lowered({ kind: this.kind, message: this.message, advice: this.advice, details });
  }
}

/** A kind of failure as a class of its own. */
function ofKind(kind: FailureKind) {
  return class extends Failure {
    constructor(message: string, options?: FailureOptions) {
      super(kind, message, options);
    }
  };
}

/** The config cannot work. */
export class InvalidConfig extends ofKind("invalid-config") {}

/** The input cannot be handled. */
export class InvalidInput extends ofKind("invalid-input") {}

/** The remote does not know or does not admit us. */
export class Unauthenticated extends ofKind("unauthenticated") {}

/** The remote refused: a repeat would be refused too. */
export class Rejected extends ofKind("rejected") {}

/** The remote asks us to slow down. */
export class RateLimited extends ofKind("rate-limited") {}

/** The remote could not be reached or could not answer. */
export class Unavailable extends ofKind("unavailable") {}

/** The remote answered something that makes no sense. */
export class BadResponse extends ofKind("bad-response") {}

/** A defect of the protocol itself. Whatever else escapes becomes one. */
export class Internal extends ofKind("internal") {}

/** A failure that lists issues, each with its place. */
export function withIssues<F extends Failure>(Kind: new (message: string, options?: FailureOptions) => F, what: string, issues: Issue[]): F {
  const told = issues.map((issue) => `${issue.pointer || "/"}: ${issue.message}`).join("; ");
  return new Kind(`${what}: ${told}`, { details: { issues } });
}
