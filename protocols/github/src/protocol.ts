/** The protocol `github`: issues and their comments. */

import { type Call, capture, defineProtocol, defineReconciler, type Effect, journal, Payload } from "action-protocol";
import documentation from "../README.md";
import { ask, list } from "./api";
import { type Comment, type Config, comment, config, type Issue, inputs, issue } from "./config";

/** Issues and comments that are looked through for one in doubt. */
const LOOKED_AT = 100;
const MAX_ITEMS = 100;

const EFFECTS: Record<Config["operation"], Effect> = {
  create_issue: "unsafe",
  comment: "unsafe",
  update_issue: "idempotent",
  get_issue: "read",
  list_issues: "read",
  list_comments: "read",
};

const example = { url: "https://api.github.com", repository: "acme/rockets", token: { $secret: "github-token" } };

export const protocolApi = defineProtocol({
  name: "github",
  version: "0.1.0",
  summary: "Creates, changes, reads and lists issues of a GitHub repository, and comments on them",
  documentation,
  config,
  // No input schema: which of the six an input has to fit depends on the config, and a schema of all of them would
  // only say that none fits. `execute` says what is wrong and where.
  examples: {
    "Create an issue": { ...example, operation: "create_issue" },
    "Comment on one": { ...example, operation: "comment" },
    "List what changed, on GitHub Enterprise": { ...example, url: "https://github.example.com/api/v3", operation: "list_issues", max_items: 500, capture: true },
  },

  validate(given: Config) {
    const warnings = [];
    if (given.capture && given.operation !== "list_issues") return [{ pointer: "/capture", code: "unused", message: "only list_issues captures" }];
    if (given.mark === false && EFFECTS[given.operation] === "unsafe") {
      warnings.push({ pointer: "/mark", code: "not_found_again", message: "without a mark an attempt in doubt cannot be found again" });
    }
    return { effect: EFFECTS[given.operation], warnings };
  },

  testConnection(given: Config) {
    const answer = ask(given, "GET", `/repos/${given.repository}`, "read");
    const found = answer.json({
      type: "object",
      properties: { full_name: { type: "string" }, private: { type: "boolean" }, has_issues: { type: "boolean" }, permissions: { type: "object", additionalProperties: { type: "boolean" } } },
      required: ["full_name"],
    });
    const may = Object.entries(found.permissions ?? {}).filter(([, granted]) => granted).map(([name]) => name);
    const left = answer.header("x-ratelimit-remaining");
    const issues = found.has_issues === false ? ", whose issues are switched off" : "";
    return {
      summary: `GitHub knows ${found.full_name}${issues}; the token may ${may.join(", ") || "read"}; ${left ?? "unknown"} requests left`,
      details: { repository: found.full_name, private: found.private, permissions: may, requests_left: left === undefined ? null : Number(left) },
    };
  },

  execute: (call: Call<Config>) => Payload.json(operations[call.config.operation](call)),
});

const operations: Record<Config["operation"], (call: Call<Config>) => unknown> = {
  create_issue(call) {
    const { body, ...rest } = call.input.parse(inputs.create_issue);
    return issueOf(ask(call.config, "POST", path(call), "unsafe", { ...rest, body: marked(call, body) }).json(issue));
  },
  comment(call) {
    const { number, body } = call.input.parse(inputs.comment);
    return commentOf(ask(call.config, "POST", `${path(call)}/${number}/comments`, "unsafe", { body: marked(call, body) }).json(comment));
  },
  update_issue(call) {
    const { number, ...changes } = call.input.parse(inputs.update_issue);
    return issueOf(ask(call.config, "PATCH", `${path(call)}/${number}`, "idempotent", changes).json(issue));
  },
  get_issue(call) {
    const { number } = call.input.parse(inputs.get_issue);
    return issueOf(ask(call.config, "GET", `${path(call)}/${number}`, "read").json(issue));
  },
  list_issues(call) {
    // A schedule's input is empty: then there is nothing to filter by.
    const filter = call.input.data.length === 0 ? {} : call.input.parse(inputs.list_issues);
    const { items, more } = list(call.config, path(call), filter, issue, call.config.max_items ?? MAX_ITEMS);
    if (call.config.capture) for (const one of items) take(one);
    return { items: items.map(issueOf), more };
  },
  list_comments(call) {
    const { number, since } = call.input.parse(inputs.list_comments);
    const { items, more } = list(call.config, `${path(call)}/${number}/comments`, { since }, comment, call.config.max_items ?? MAX_ITEMS);
    return { items: items.map(commentOf), more };
  },
};

export const reconciler = defineReconciler(config, (call: Call<Config>) => {
  if (call.config.mark === false) return "unknown";
  const mark = markOf(call);
  if (call.config.operation === "create_issue") {
    const newest = { state: "all", sort: "created", direction: "desc" };
    const found = list(call.config, path(call), newest, issue, LOOKED_AT).items.find((one) => one.body?.includes(mark));
    if (found !== undefined) return { tookEffect: Payload.json(issueOf(found)) };
  } else if (call.config.operation === "comment") {
    const { number } = call.input.parse(inputs.comment);
    // Comments come oldest first, so only those of about this execution's time are asked for.
    const since = new Date(Date.now() - 24 * 3600 * 1000).toISOString();
    const found = list(call.config, `${path(call)}/${number}/comments`, { since }, comment, LOOKED_AT).items.find((one) => one.body?.includes(mark));
    if (found !== undefined) return { tookEffect: Payload.json(commentOf(found)) };
  }
  journal.info("nothing with this execution's mark is there; it may still come");
  return "unknown";
});

function path(call: Call<Config>): string {
  return `/repos/${call.config.repository}/issues`;
}

/** A comment in HTML, which GitHub keeps and nobody sees. */
function markOf(call: Call<Config>): string {
  return `<!-- action-service: ${call.idempotencyKey.replace(/[^\x21-\x7e]|-->/g, "_")} -->`;
}

function marked(call: Call<Config>, body: string | undefined): string | undefined {
  if (call.config.mark === false) return body;
  return body ? `${body}\n\n${markOf(call)}` : markOf(call);
}

function take(one: Issue): void {
  capture.emit("issue", Payload.json(issueOf(one)), `${one.id}:${one.updated_at}`);
}

function issueOf(one: Issue) {
  return {
    number: one.number,
    title: one.title,
    state: one.state,
    url: one.html_url,
    body: one.body ?? null,
    author: one.user?.login ?? null,
    labels: (one.labels ?? []).map((label) => (typeof label === "string" ? label : label.name)).filter(Boolean),
    assignees: (one.assignees ?? []).map((assignee) => assignee?.login),
    comments: one.comments ?? 0,
    created_at: one.created_at,
    updated_at: one.updated_at,
    closed_at: one.closed_at ?? null,
    pull_request: one.pull_request !== undefined,
  };
}

function commentOf(one: Comment) {
  return { id: one.id, url: one.html_url, body: one.body ?? null, author: one.user?.login ?? null, created_at: one.created_at, updated_at: one.updated_at };
}
