/** GitHub's REST API: requests, what failures mean, pages. */

import { type Effect, type Failure, type FromSchema, http, InvalidInput, BadResponse, RateLimited, retryAfter, type Schema, tlsOptions } from "action-protocol";
import type { Config } from "./config";

const VERSION = "2022-11-28";
const TIMEOUT_MS = 15_000;
/** GitHub asks to wait this long after a secondary limit that says nothing. */
const SECONDARY_LIMIT_MS = 60_000;
/** The most that GitHub gives at once. */
const PAGE_ITEMS_MAX = 100;

/** A request to a path of the API, or to the URL of a further page. */
export function ask(config: Config, method: string, path: string, effect: Effect, body?: unknown): http.Response {
  const url = path.startsWith("/") ? config.url.replace(/\/+$/, "") + path : path;
  const answer = http.request(url, {
    method,
    headers: { Accept: "application/vnd.github+json", "X-GitHub-Api-Version": VERSION, "User-Agent": "action-service-github" },
    bearer: config.token,
    timeoutMs: config.timeout_ms ?? TIMEOUT_MS,
    tls: tlsOptions(config.tls),
    effect,
    ...(body === undefined ? {} : { json: body }),
  });
  if (!answer.ok) throw failure(answer, effect);
  return answer;
}

/** What an answer that is no success means. */
export function failure(answer: http.Response, effect: Effect): Failure {
  const wait = limited(answer);
  if (wait !== undefined) return new RateLimited(`GitHub's rate limit is used up (${answer.status})`, { advice: retryAfter(wait), details: answer.excerpt() });
  if (answer.status === 422) return new InvalidInput(`GitHub cannot take it: ${reason(answer)}`, { details: answer.excerpt() });
  return answer.failure(effect);
}

/** How many milliseconds to wait, if this is about a limit. GitHub says 403 of some. */
function limited(answer: http.Response): number | undefined {
  if (answer.status !== 403 && answer.status !== 429) return undefined;
  const asked = answer.retryAfterMs();
  if (asked !== undefined) return asked;
  const reset = Number(answer.header("x-ratelimit-reset"));
  if (answer.header("x-ratelimit-remaining") === "0" && Number.isFinite(reset)) {
    // In seconds, so up to a second late; measured by GitHub's own clock.
    return Math.max(0, reset * 1000 - answer.now()) + 1000;
  }
  return answer.status === 429 || /secondary rate limit|abuse detection/i.test(answer.text()) ? SECONDARY_LIMIT_MS : undefined;
}

function reason(answer: http.Response): string {
  const body = answer.json({ type: "object", properties: { message: { type: "string" } } });
  return body.message ?? "it does not say why";
}

/** The items of a list, and whether there are more. A page leads to the next by its `Link`. */
export function list<const S extends Schema>(config: Config, path: string, pairs: Record<string, string | number | undefined>, item: S, most: number): { items: FromSchema<S>[]; more: boolean } {
  const items: FromSchema<S>[] = [];
  let next: string | undefined = path + http.query({ ...pairs, per_page: Math.min(most, PAGE_ITEMS_MAX) });
  // A page may be empty and lead on: the requests are bounded, too.
  for (let left = Math.ceil(most / PAGE_ITEMS_MAX); next !== undefined && left > 0; left--) {
    const answer: http.Response = ask(config, "GET", next, "read");
    items.push(...(answer.json({ type: "array", items: item }) as FromSchema<S>[]));
    next = following(config, answer);
  }
  return { items: items.slice(0, most), more: next !== undefined || items.length > most };
}

/** The URL of the page behind this one. It is on the same host, or the token would go elsewhere. */
function following(config: Config, answer: http.Response): string | undefined {
  const next = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(answer.header("link") ?? "")?.[1];
  if (next !== undefined && http.origin(next) !== http.origin(config.url)) throw new BadResponse(`a list leads on to another host: ${next.split("?")[0]}`);
  return next;
}
