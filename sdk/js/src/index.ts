/// <reference path="./wit.d.ts" />
/// <reference path="./surroundings.d.ts" />
/**
 * Write protocols for the action service in TypeScript.
 *
 *     import { defineProtocol, http, Payload } from "action-protocol";
 *
 *     export const protocolApi = defineProtocol({
 *       name: "peek",
 *       version: "0.1.0",
 *       summary: "Reads a page",
 *       config: {
 *         type: "object",
 *         properties: { url: { type: "string", description: "Where to look.", "x-egress": "http" } },
 *         required: ["url"],
 *         additionalProperties: false,
 *       },
 *       validate: () => ({ effect: "read" }),
 *       testConnection: (config) => ({ summary: `answered ${http.head(config.url).status}` }),
 *       execute: (call) => Payload.text(http.get(call.config.url, { timeoutMs: 5000 }).text()),
 *     });
 *
 * The types are made of the schema, so the two cannot drift apart. Failures are classes (`Unavailable`,
 * `RateLimited` …), each with the advice that it usually carries. Everything is synchronous.
 */

export { JSON_DEPTH_MAX, parseJson } from "./boundary";
export * as capture from "./capture";
export type { Advice, Effect, FailureKind, Issue, TlsOptions, Trigger, WebhookRequest } from "./contract";
export {
  BadResponse,
  Failure,
  giveUp,
  inDoubt,
  Internal,
  InvalidConfig,
  InvalidInput,
  RateLimited,
  Rejected,
  retry,
  retryAfter,
  Unauthenticated,
  Unavailable,
} from "./failure";
export * as http from "./http";
export * as journal from "./journal";
export * as net from "./net";
export { Payload } from "./payload";
export { type Call, type Definition, defineProtocol, defineReconciler, type Outcome, type Reconciliation } from "./protocol";
export { check, type FromSchema, type Schema } from "./schema";
export * as secrets from "./secrets";
export { decode, encode } from "./text";
export { tlsOptions, tlsSchema } from "./tls";
