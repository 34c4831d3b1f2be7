/** The execution's own record: lines of log, and progress for whoever watches. `console` writes to it too. */

import { log as rawLog, progress as rawProgress, type Level } from "julee:action/journal@0.1.0";
import { whole } from "./boundary";

export type { Level };

/** Keeps a line at this level. */
export function log(level: Level, message: string): void {
  rawLog(level, whole(message));
}

/** Keeps a line for somebody who looks for a mistake. */
export const debug = (message: string): void => log("debug", message);

/** Keeps a line that tells what happened. */
export const info = (message: string): void => log("info", message);

/** Keeps a line about something odd that did no harm. */
export const warn = (message: string): void => log("warn", message);

/** Keeps a line about something that went wrong. */
export const error = (message: string): void => log("error", message);

/** Shows how far long work has come. `total`: where it is known. */
export function progress(completed: number, total?: number, message = ""): void {
  rawProgress(completed, total, whole(message));
}

function line(parts: unknown[]): string {
  return parts.map((part) => (typeof part === "string" ? part : part instanceof Error ? String(part) : JSON.stringify(part))).join(" ");
}

// QuickJS has none; libraries take it for granted.
(globalThis as Record<string, unknown>)["console"] ??= {
  debug: (...parts: unknown[]) => debug(line(parts)),
  log: (...parts: unknown[]) => info(line(parts)),
  info: (...parts: unknown[]) => info(line(parts)),
  warn: (...parts: unknown[]) => warn(line(parts)),
  error: (...parts: unknown[]) => error(line(parts)),
};
