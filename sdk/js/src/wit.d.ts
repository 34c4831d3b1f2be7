// What the service offers to a component, as the contract has it. Only the SDK imports these.

declare module "julee:action/journal@0.1.0" {
  export type Level = "debug" | "info" | "warn" | "error";
  export function log(level: Level, message: string): void;
  export function progress(completed: number, total: number | undefined, message: string): void;
}

declare module "julee:action/capture@0.1.0" {
  import type { RawPayload } from "action-protocol/contract";
  export function emit(item: { key: string | undefined; kind: string; content: RawPayload }): void;
  export function getState(key: string): Uint8Array | undefined | null;
  export function setState(key: string, value: Uint8Array): void;
  export function deleteState(key: string): void;
  export function checkpoint(): number;
}

declare module "julee:action/secrets@0.1.0" {
  export function reveal(handle: string): Uint8Array;
  export function hmacSha256(handle: string, encoding: "raw" | "base64", prefix: string, message: Uint8Array): Uint8Array;
}

declare module "julee:action/outbound@0.1.0" {
  import type { RawHeader, RawTlsOptions } from "action-protocol/contract";
  export interface HttpRequest {
    method: string;
    url: string;
    headers: RawHeader[];
    body: Uint8Array | undefined;
    timeoutMs: number | undefined;
    tls: RawTlsOptions | undefined;
  }
  export function send(request: HttpRequest): { status: number; headers: RawHeader[]; body: Uint8Array };
  export interface RawConnection {
    read(maxBytes: number): Uint8Array;
    write(bytes: Uint8Array): void;
    startTls(options: RawTlsOptions): string | undefined;
    setTimeout(milliseconds: number): void;
    [Symbol.dispose]?(): void;
  }
  export function connect(host: string, port: number, tls: RawTlsOptions | undefined): RawConnection;
}

declare module "*.md" {
  const text: string;
  export default text;
}
