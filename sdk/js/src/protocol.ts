/** What a protocol is made of, and what makes the contract's functions of it. */

import { lowered, parseJson, toJson } from "./boundary";
import { CaptureError } from "./capture";
import type { Effect, Issue, ProtocolApi, RawCall, RawFailure, RawOutcome, Reconciler, Trigger } from "./contract";
import { Failure, Internal, InvalidConfig } from "./failure";
import { OutboundError } from "./http";
import * as journal from "./journal";
import { Payload } from "./payload";
import { check, type FromSchema, type Schema } from "./schema";
import { seedWith } from "./random";
import { encode } from "./text";

/** What `execute` is called with, and `reconcile` too. */
export interface Call<C> {
  readonly action: string;
  readonly execution: string;
  readonly correlation: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The same for every attempt of one execution. */
  readonly idempotencyKey: string;
  /** RFC 3339, UTC. The attempt is ended at this time, wherever it is. */
  readonly deadline: string;
  readonly traceparent: string | undefined;
  readonly trigger: Trigger;
  readonly config: C;
  readonly input: Payload;
}

/** An output, and the answer to a webhook's caller where there is one to give. */
export interface Outcome {
  output: Payload;
  reply?: { status: number; headers?: Record<string, string>; body?: Uint8Array };
}

/** What became of an attempt in doubt. `did-not` has to be known: the service tries again then. */
export type Reconciliation = { tookEffect: Outcome | Payload } | "did-not" | "unknown";

/** A protocol: knows how to speak to one type of outside system. */
export interface Definition<S extends Schema> {
  name: string;
  version: string;
  /** One line for a list. */
  summary: string;
  /** Markdown for the person who configures an action. */
  documentation?: string;
  /** JSON Schema of the config. The type of `config` below is made of it. */
  config: S;
  /** Configs to show to people, by name. The service checks them against the schema. */
  examples?: Record<string, unknown>;
  inputSchema?: Schema;
  outputSchema?: Schema;
  /** HTTP methods beside GET, HEAD and OPTIONS that `testConnection` needs. */
  testMethods?: string[];
  /**
   * Says what repeating an execution can do, or everything that is wrong. Gets no network. The config fits the
   * schema: both the service and the SDK look at that before.
   */
  validate(config: FromSchema<S>): { effect: Effect; warnings?: Issue[] } | Issue[];
  /** Reaches the outside system without changing anything there. */
  testConnection(config: FromSchema<S>): { summary: string; details?: unknown };
  /** Does the work. Throws a `Failure` where it cannot. */
  execute(call: Call<FromSchema<S>>): Outcome | Payload;
}

/** The contract's four functions. Export it as `protocolApi`. */
export function defineProtocol<const S extends Schema>(definition: Definition<S>): ProtocolApi {
  // Here, when the component is built: an instance finds them ready.
  const configSchema = JSON.stringify(definition.config);
  const examples = Object.entries(definition.examples ?? {}).map(([name, config]) => ({ name, config: JSON.stringify(config) }));
  return {
    describe: () => lowered({
      name: definition.name,
      version: definition.version,
      summary: definition.summary,
      documentation: definition.documentation ?? "",
      configSchema,
      inputSchema: definition.inputSchema && JSON.stringify(definition.inputSchema),
      outputSchema: definition.outputSchema && JSON.stringify(definition.outputSchema),
      examples,
      testMethods: definition.testMethods ?? [],
    }),
    validateConfig(config) {
      let answer: ReturnType<typeof definition.validate>;
      try {
        const value: unknown = parseJson(config);
        const unfit = check(definition.config, value);
        answer = unfit.length > 0 ? unfit : definition.validate(value as FromSchema<S>);
      } catch (error) {
        answer = [{ pointer: "", code: error instanceof InvalidConfig ? "invalid" : "internal", message: told(error) }];
      }
      if (Array.isArray(answer)) throw lowered(answer);
      return lowered({ effect: answer.effect, warnings: answer.warnings ?? [] });
    },
    testConnection: (config) =>
      answered(() => {
        const { summary, details } = definition.testConnection(parseJson(config) as FromSchema<S>);
        return lowered({ summary, details: toJson(details ?? {}) });
      }),
    execute: (raw) => answered(() => outcome(definition.execute(call(raw)))),
  };
}

/**
 * `reconcile`, for a protocol whose remote can tell what it has done. Export it as `reconciler`. It gets the call
 * that `execute` had, and must not change anything outside.
 */
export function defineReconciler<const S extends Schema>(_config: S, reconcile: (call: Call<FromSchema<S>>) => Reconciliation): Reconciler {
  return {
    reconcile: (raw) =>
      answered(() => {
        const found = reconcile(call(raw));
        return typeof found === "string" ? { tag: found } : { tag: "took-effect", val: outcome(found.tookEffect) };
      }),
  };
}

function call<C>(raw: RawCall): Call<C> {
  // The runtime's own generator begins every instance at the same place.
  seedWith(() => `${raw.execution} ${raw.attempt} ${Date.now()} ${performance.now()}`);
  const input = new Payload(raw.input.contentType, raw.input.data);
  return { ...raw, traceparent: raw.traceparent ?? undefined, config: parseJson(raw.config) as C, input };
}

function outcome(given: Outcome | Payload): RawOutcome {
  const { output, reply }: Outcome = given instanceof Payload ? { output: given } : given;
  const headers = Object.entries(reply?.headers ?? {}).map(([name, value]) => ({ name, value: encode(value) }));
  return lowered({
    output: { contentType: output.contentType, data: output.data },
    reply: reply && { status: reply.status, headers, body: reply.body ?? new Uint8Array(0) },
  });
}

/** What `work` gives. What it throws becomes the contract's failure: anything else would be a trap. */
function answered<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw failureOf(error);
  }
}

function failureOf(error: unknown): RawFailure {
  // It ends the instance, and the service says what happened: it knows the limit.
  if (error instanceof Error && error.name === "InternalError" && error.message === "out of memory") throw error;
  if (error instanceof Failure) return error.toWit();
  if (error instanceof OutboundError || error instanceof CaptureError) return error.failure().toWit();
  journal.error(error instanceof Error ? `${error}\n${error.stack ?? ""}` : told(error));
  return new Internal(told(error)).toWit();
}

function told(error: unknown): string {
  return error instanceof Error ? String(error) : JSON.stringify(error) ?? String(error);
}
