/** What an action configures, and what it is given each time. */

import { type FromSchema, type Schema, tlsSchema } from "action-protocol";

export const config = {
  type: "object",
  properties: {
    url: {
      type: "string",
      description: "https://slack.com with a token, https://hooks.slack.com with a webhook.",
      pattern: "^https?://[^/?#]+/?$",
      "x-egress": "http",
    },
    token: { type: "string", description: "A bot's or user's token (xoxb-…).", minLength: 1, writeOnly: true },
    webhook_path: {
      type: "string",
      description: "The path of an incoming webhook: services/T…/B…/…. Where it is a secret, grants.reveal has to name it.",
      minLength: 1,
      writeOnly: true,
    },
    channel: { type: "string", description: "Where to post with a token, unless the input says.", minLength: 1 },
    timeout_ms: { type: "integer", description: "For each request.", minimum: 1, maximum: 600_000, default: 10_000 },
    tls: tlsSchema,
  },
  required: ["url"],
  additionalProperties: false,
  oneOf: [{ required: ["token"] }, { required: ["webhook_path"] }],
} as const satisfies Schema;

const message = {
  type: "object",
  properties: {
    text: { type: "string" },
    channel: { type: "string" },
    blocks: { type: "array", items: { type: "object" } },
    attachments: { type: "array", items: { type: "object" } },
    thread_ts: { type: "string" },
    reply_broadcast: { type: "boolean" },
    username: { type: "string" },
    icon_emoji: { type: "string" },
    icon_url: { type: "string" },
    unfurl_links: { type: "boolean" },
    unfurl_media: { type: "boolean" },
    mrkdwn: { type: "boolean" },
  },
  additionalProperties: false,
} as const satisfies Schema;

export { message as messageSchema };

export type Config = FromSchema<typeof config>;
export type Message = FromSchema<typeof message>;

export const TIMEOUT_MS = 10_000;
