/** What an action configures, and what each operation is given. */

import { type FromSchema, type Schema, tlsSchema } from "action-protocol";

export const config = {
  type: "object",
  properties: {
    url: {
      type: "string",
      description: "Where the API is: https://api.github.com, or https://HOST/api/v3 for GitHub Enterprise.",
      pattern: "^https?://[^?#]+$",
      "x-egress": "http",
    },
    repository: { type: "string", description: "owner/name", pattern: "^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$" },
    operation: {
      enum: ["create_issue", "comment", "update_issue", "get_issue", "list_issues", "list_comments"],
      description: "What an execution does.",
    },
    token: { type: "string", description: "A token with access to the repository's issues.", minLength: 1, writeOnly: true },
    max_items: { type: "integer", description: "Most items of a list.", minimum: 1, maximum: 2000, default: 100 },
    mark: { type: "boolean", description: "Puts the execution's key into what is created, where nobody sees it.", default: true },
    capture: { type: "boolean", description: "Captures the issues that list_issues finds.", default: false },
    timeout_ms: { type: "integer", description: "For each request.", minimum: 1, maximum: 600_000, default: 15_000 },
    tls: tlsSchema,
  },
  required: ["url", "repository", "operation"],
  additionalProperties: false,
} as const satisfies Schema;

export type Config = FromSchema<typeof config>;

const number = { type: "integer", minimum: 1 } as const;
const texts = { type: "array", items: { type: "string" } } as const;
const milestone = { type: ["integer", "null"] } as const;

/** The inputs, by operation. */
export const inputs = {
  create_issue: {
    type: "object",
    properties: { title: { type: "string", minLength: 1 }, body: { type: "string" }, labels: texts, assignees: texts, milestone },
    required: ["title"],
    additionalProperties: false,
  },
  comment: {
    type: "object",
    properties: { number, body: { type: "string", minLength: 1 } },
    required: ["number", "body"],
    additionalProperties: false,
  },
  update_issue: {
    type: "object",
    properties: {
      number,
      title: { type: "string", minLength: 1 },
      body: { type: "string" },
      state: { enum: ["open", "closed"] },
      state_reason: { enum: ["completed", "not_planned", "reopened", null] },
      labels: texts,
      assignees: texts,
      milestone,
    },
    required: ["number"],
    additionalProperties: false,
  },
  get_issue: { type: "object", properties: { number }, required: ["number"], additionalProperties: false },
  list_issues: {
    type: "object",
    properties: {
      state: { enum: ["open", "closed", "all"] },
      labels: { type: "string" },
      assignee: { type: "string" },
      creator: { type: "string" },
      since: { type: "string" },
      sort: { enum: ["created", "updated", "comments"] },
      direction: { enum: ["asc", "desc"] },
    },
    additionalProperties: false,
  },
  list_comments: {
    type: "object",
    properties: { number, since: { type: "string" } },
    required: ["number"],
    additionalProperties: false,
  },
} as const satisfies Record<Config["operation"], Schema>;

const user = { type: ["object", "null"], properties: { login: { type: "string" } }, required: ["login"] } as const;
const optional = { type: ["string", "null"] } as const;

/** An issue as GitHub has it, as far as it is looked at. */
export const issue = {
  type: "object",
  properties: {
    id: { type: "integer" },
    number: { type: "integer" },
    title: { type: "string" },
    state: { type: "string" },
    html_url: { type: "string" },
    body: optional,
    user,
    labels: { type: "array", items: { anyOf: [{ type: "string" }, { type: "object", properties: { name: optional } }] } },
    assignees: { type: ["array", "null"], items: user },
    comments: { type: "integer" },
    created_at: { type: "string" },
    updated_at: { type: "string" },
    closed_at: optional,
    pull_request: {},
  },
  required: ["id", "number", "title", "state", "html_url", "created_at", "updated_at"],
} as const satisfies Schema;

export const comment = {
  type: "object",
  properties: { id: { type: "integer" }, html_url: { type: "string" }, body: optional, user, created_at: { type: "string" }, updated_at: { type: "string" } },
  required: ["id", "html_url", "created_at", "updated_at"],
} as const satisfies Schema;

export type Issue = FromSchema<typeof issue>;
export type Comment = FromSchema<typeof comment>;
