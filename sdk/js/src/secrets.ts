/**
 * Secrets that the config names. In the config each is an opaque handle. Put it where the value belongs (a
 * header's value, the query, a bearer token), and the service puts the value in its place on the way out.
 */

import * as raw from "julee:action/secrets@0.1.0";
import { whole } from "./boundary";
import { InvalidConfig } from "./failure";

/** The value, for protocols that must speak it themselves. The action has to allow it. */
export function reveal(handle: string): Uint8Array {
  return asked(() => raw.reveal(whole(handle)));
}

/** HMAC-SHA-256 keyed with the secret, without seeing it. `prefix` goes before the key. */
export function hmacSha256(handle: string, message: Uint8Array, encoding: "raw" | "base64" = "raw", prefix = ""): Uint8Array {
  return asked(() => raw.hmacSha256(whole(handle), encoding, whole(prefix), message));
}

/** Whether a text looks like a secret's handle. Else it is plain text, which an action may give instead. */
export function isHandle(text: string): boolean {
  return /^sec_[0-9a-f]{32}$/.test(text);
}

function asked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const payload = (error as { payload?: string }).payload;
    if (payload === "not-granted") throw new InvalidConfig("the action does not let its protocol see this secret; see grants.reveal");
    if (payload === "unknown-handle") throw new InvalidConfig("no secret has this handle");
    throw error;
  }
}
