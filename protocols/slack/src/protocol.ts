/** The protocol `slack`: posts messages, by a token or a webhook. */

import {
  type Call,
  decode,
  defineProtocol,
  defineReconciler,
  http,
  InvalidConfig,
  InvalidInput,
  type Issue,
  journal,
  Payload,
  secrets,
  Unauthenticated,
  tlsOptions,
} from "action-protocol";
import documentation from "../README.md";
import { failure, ok } from "./answers";
import { type Config, config, type Message, messageSchema, TIMEOUT_MS } from "./config";

/** By which a message is known as ours, in its metadata. */
const EVENT_TYPE = "action_service";
/** Messages that are looked through for one in doubt: the most that Slack gives at once to everybody. */
const LOOKED_AT = 100;

export const protocolApi = defineProtocol({
  name: "slack",
  version: "0.1.0",
  summary: "Posts messages to Slack, with a token or through an incoming webhook",
  documentation,
  config,
  inputSchema: { anyOf: [{ type: "string" }, messageSchema] },
  outputSchema: {
    type: "object",
    properties: { channel: { type: ["string", "null"] }, ts: { type: ["string", "null"] } },
    required: ["channel", "ts"],
  },
  examples: {
    "Post as a bot": { url: "https://slack.com", token: { $secret: "slack-bot-token" }, channel: "C0123456789" },
    "Post through a webhook": { url: "https://hooks.slack.com", webhook_path: { $secret: "slack-webhook" } },
  },
  testMethods: ["POST"],

  validate(config: Config) {
    const issues: Issue[] = [];
    if (config.channel !== undefined && config.token === undefined) {
      issues.push({ pointer: "/channel", code: "unused", message: "a webhook posts where it was made for; a channel goes with a token" });
    }
    return issues.length > 0 ? issues : { effect: "unsafe" };
  },

  testConnection(config: Config) {
    if (config.token === undefined) return lookAtWebhook(config);
    const answer = webApi(config, "auth.test", {}, "read");
    const { team, user, url } = ok(answer, "read");
    return { summary: `Slack knows the token as ${user} in ${team}`, details: { team, user, url } };
  },

  execute(call: Call<Config>) {
    const message = read(call.input);
    if (call.config.token === undefined) return viaWebhook(call.config, message);
    const channel = message.channel ?? call.config.channel;
    if (channel === undefined) throw new InvalidInput("no channel: neither the config nor the input names one");
    const metadata = { event_type: EVENT_TYPE, event_payload: { key: call.idempotencyKey } };
    const posted = ok(webApi(call.config, "chat.postMessage", { ...message, channel, metadata }, "unsafe"), "unsafe");
    return Payload.json({ channel: posted["channel"] ?? null, ts: posted["ts"] ?? null });
  },
});

export const reconciler = defineReconciler(config, (call: Call<Config>) => {
  const channel = call.config.token === undefined ? undefined : (read(call.input).channel ?? call.config.channel);
  // A name is no id, and a webhook tells nothing.
  if (channel === undefined || !/^[CGD][A-Z0-9]{6,}$/.test(channel)) return "unknown";
  const thread = read(call.input).thread_ts;
  const query = http.query({ channel, limit: LOOKED_AT, include_all_metadata: true, ts: thread });
  const answer = webApi(call.config, (thread ? "conversations.replies" : "conversations.history") + query, undefined, "read");
  const { messages, has_more: more } = ok(answer, "read") as { messages?: Posted[]; has_more?: boolean };
  const ours = (messages ?? []).find(({ metadata }) => metadata?.event_type === EVENT_TYPE && metadata.event_payload?.key === call.idempotencyKey);
  if (ours?.ts !== undefined) return { tookEffect: Payload.json({ channel, ts: ours.ts }) };
  // What Slack has not finished may still come, and behind a page there is another: only a person knows.
  journal.info(`none of the latest ${messages?.length ?? 0} messages is this one${more ? ", and there are more" : ""}`);
  return "unknown";
});

interface Posted {
  ts?: string;
  metadata?: { event_type?: string; event_payload?: { key?: string } };
}

/** The message that an input is: JSON as Slack has it, or a text. */
function read(input: Payload): Message {
  if (!input.isJson) return withText({ text: input.text() });
  const given = input.parse({ anyOf: [{ type: "string" }, messageSchema] });
  return withText(typeof given === "string" ? { text: given } : given);
}

function withText(message: Message): Message {
  if (!message.text && !message.blocks?.length && !message.attachments?.length) throw new InvalidInput("there is nothing to post: no text, blocks or attachments");
  return message;
}

function base(config: Config): string {
  return config.url.replace(/\/$/, "");
}

function webApi(config: Config, method: string, body: unknown, effect: "read" | "unsafe"): http.Response {
  const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json; charset=utf-8" };
  const options = { headers, bearer: config.token, timeoutMs: config.timeout_ms ?? TIMEOUT_MS, tls: tlsOptions(config.tls), effect };
  const url = `${base(config)}/api/${method}`;
  return body === undefined ? http.get(url, options) : http.post(url, { ...options, json: body });
}

function webhook(config: Config): string {
  const given = config.webhook_path ?? "";
  const path = secrets.isHandle(given) ? decode(secrets.reveal(given)) : given;
  // A whole URL would lead elsewhere than the action grants.
  if (!/^\/?[A-Za-z0-9/_-]+$/.test(path)) throw new InvalidConfig("webhook_path is no path of a webhook: services/T…/B…/…");
  return `${base(config)}/${path.replace(/^\//, "")}`;
}

function viaWebhook(config: Config, message: Message): Payload {
  if (message.channel !== undefined) throw new InvalidInput("a webhook posts where it was made for; `channel` goes with a token");
  const asked = http.post(webhook(config), { json: message, timeoutMs: config.timeout_ms ?? TIMEOUT_MS, tls: tlsOptions(config.tls), effect: "unsafe" });
  // The webhook's path is the secret: no message may show it.
  const answer = asked.named(base(config));
  if (!answer.ok) throw judge(answer);
  if (answer.text().trim() !== "ok") throw failure("bad_answer", answer);
  return Payload.json({ channel: null, ts: null });
}

/** A webhook answers with a word of text, and a proxy before it with whatever it likes. */
function judge(answer: http.Response) {
  const word = answer.text().trim();
  return /^[a-z_]{3,60}$/.test(word) && answer.status !== 429 ? failure(word, answer) : answer.failure("unsafe");
}

function lookAtWebhook(config: Config) {
  const answer = http.get(webhook(config), { timeoutMs: config.timeout_ms ?? TIMEOUT_MS, tls: tlsOptions(config.tls) }).named(base(config));
  const word = answer.text().trim();
  if (/^(no_service|no_team|invalid_token|channel_is_archived|channel_not_found)$/.test(word)) throw failure(word, answer);
  if (answer.status === 401 || answer.status === 407) throw new Unauthenticated(`the webhook answered ${answer.status}`);
  if (answer.status >= 500 || answer.status === 429) throw answer.failure("read");
  return {
    summary: `${base(config)} answered ${answer.status}; whether the webhook works shows only when it posts`,
    details: { status: answer.status },
  };
}
