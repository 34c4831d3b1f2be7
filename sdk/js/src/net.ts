/** TCP connections, with TLS by the service, for what is not HTTP. */

import { connect as rawConnect, type RawConnection } from "julee:action/outbound@0.1.0";
import { lowered } from "./boundary";
import type { RawTlsOptions, TlsOptions } from "./contract";
import { asked, rawTls } from "./http";

/** TLS as it usually is: the well-known roots and the host's name. */
export const plainTls: TlsOptions = {};

/** A connection. `using` closes it at the end of its block. */
export class Connection {
  #raw: RawConnection | undefined;

  constructor(raw: RawConnection) {
    this.#raw = raw;
  }

  /** Waits for at least one byte. Empty: the remote has closed its side. */
  read(maxBytes = 65536): Uint8Array {
    return asked("unsafe", () => this.#open().read(maxBytes));
  }

  /** Returns when all bytes are handed to the system. */
  write(bytes: Uint8Array): void {
    asked("unsafe", () => this.#open().write(bytes));
  }

  /** For STARTTLS and its like. Gives the ALPN protocol, where one was agreed on. */
  startTls(options: TlsOptions = plainTls): string | undefined {
    return asked("unsafe", () => this.#open().startTls(lowered(rawTls(options) as RawTlsOptions)));
  }

  /** For each further read and write. */
  setTimeout(milliseconds: number): void {
    this.#open().setTimeout(milliseconds);
  }

  /** Closes it. A second time changes nothing. */
  close(): void {
    this.#raw?.[Symbol.dispose]?.();
    this.#raw = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): RawConnection {
    if (this.#raw === undefined) throw new Error("the connection is closed");
    return this.#raw;
  }
}

/** Connects, with TLS from the start where `tls` is given. Throws `OutboundError`. */
export function connect(host: string, port: number, tls?: TlsOptions): Connection {
  return new Connection(asked("unsafe", () => rawConnect(lowered(host), port, lowered(rawTls(tls)))));
}
