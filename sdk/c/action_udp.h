/*
 * Datagrams, for the protocols that still speak UDP. `outbound` of the contract has none, so this
 * goes by wasi:sockets, past the same gate: `"x-egress": "tcp"` grants host and port of both.
 */
#ifndef ACTION_UDP_H
#define ACTION_UDP_H

#include "action.h"

/* Sends one datagram, then waits `settle_ms` for the news that nobody listens there (0: not at
 * all). UDP has no other answer: true means that it was handed to the network. */
bool action_udp_send(const char *host, uint16_t port, const void *data, size_t len, uint32_t settle_ms,
                     action_failure *failure);

/* How many addresses the name has; nothing is sent to any of them. */
bool action_udp_lookup(const char *host, size_t *addresses, action_failure *failure);

#endif
