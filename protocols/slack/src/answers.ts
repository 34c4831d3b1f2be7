/** What Slack's answers mean. */

import { type Failure, http, inDoubt, InvalidInput, RateLimited, Rejected, retry, retryAfter, Unauthenticated, Unavailable } from "action-protocol";

const UNAUTHENTICATED = new Set(
  ("invalid_auth not_authed account_inactive token_revoked token_expired missing_scope no_permission org_login_required ekm_access_denied " +
    "not_allowed_token_type access_denied team_access_not_granted invalid_token action_prohibited two_factor_setup_required").split(" "),
);
const INVALID_INPUT = new Set(
  ("no_text msg_too_long msg_blocks_too_long invalid_blocks invalid_blocks_format invalid_attachments too_many_attachments too_many_contact_cards " +
    "invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_json invalid_payload metadata_too_large " +
    "markdown_text_conflict cannot_reply_to_message message_limit_exceeded").split(" "),
);
/** Slack did not begin with it. */
const LATER = new Set("service_unavailable request_timeout team_added_to_org accesslimited".split(" "));
/** Slack says of these that part of it may have been done. */
const DOUBTFUL = new Set("internal_error fatal_error rollup_error".split(" "));

/** The failure that an `error` of the Web API is, or a webhook's text. */
export function failure(word: string, answer: http.Response): Failure {
  const message = `Slack answered ${word}`;
  const details = { ...answer.excerpt(), error: word };
  if (UNAUTHENTICATED.has(word)) return new Unauthenticated(message, { details });
  if (INVALID_INPUT.has(word)) return new InvalidInput(message, { details });
  if (word === "ratelimited" || word === "rate_limited") {
    const wait = answer.retryAfterMs();
    return new RateLimited(message, { advice: wait === undefined ? retry : retryAfter(wait), details });
  }
  if (LATER.has(word)) return new Unavailable(message, { details });
  if (DOUBTFUL.has(word)) return new Unavailable(message, { advice: inDoubt, details });
  return new Rejected(message, { details });
}

/** What the Web API answered, if it says that it did what was asked. */
export function ok(answer: http.Response, effect: "read" | "unsafe"): { [member: string]: unknown } {
  if (!answer.ok) throw answer.failure(effect);
  const body = answer.json({ type: "object", properties: { ok: { type: "boolean" }, error: { type: "string" } }, required: ["ok"] });
  if (!body.ok) throw failure(body.error ?? "unknown_error", answer);
  return body;
}
