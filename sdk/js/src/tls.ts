/** What a config says about TLS, which the service does: a private authority, another name, who asks. */

import type { TlsOptions } from "./contract";
import type { FromSchema, Schema } from "./schema";

/** For a property `tls` of a config. */
export const tlsSchema = {
  type: "object",
  description: "How TLS differs from the usual.",
  properties: {
    extra_roots: { type: "string", description: "Certificates (PEM) of authorities to trust beside the well-known ones." },
    server_name: { type: "string", description: "The name that the remote's certificate bears, where it is not the host that is connected to." },
    client_certificate: {
      type: "object",
      description: "A certificate that says who asks.",
      properties: {
        chain: { type: "string", description: "The certificate and those above it (PEM), leaf first." },
        key: { type: "string", description: "The private key (PEM), as a secret. The protocol does not see it.", writeOnly: true },
      },
      required: ["chain", "key"],
      additionalProperties: false,
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

/** The options of a request or a connection; of a property that was left out, none. */
export function tlsOptions(config: FromSchema<typeof tlsSchema> | undefined): TlsOptions | undefined {
  return config && { extraRoots: config.extra_roots, serverName: config.server_name, clientIdentity: config.client_certificate };
}
