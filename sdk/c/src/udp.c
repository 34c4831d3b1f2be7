/*
 * Datagrams over wasi:sockets. Its functions never block: what is not ready yet says
 * `would-block`, and is asked again when its pollable is ready.
 */
#include "../action_udp.h"
#include "../bindings/action_udp.h"
#include "internal.h"

#include <string.h>

#define NETWORK(name) wasi_sockets_network_##name
#define UDP(name) wasi_sockets_udp_##name
#define LOOKUP(name) wasi_sockets_ip_name_lookup_##name
#define CODE(name) WASI_SOCKETS_NETWORK_ERROR_CODE_##name

static bool fail_socket(NETWORK(error_code_t) code, bool is_open, action_failure *failure) {
    switch (code) {
    case CODE(ACCESS_DENIED):
        action_fail(failure, ACTION_INVALID_CONFIG, "the action grants no way to there");
        failure->cause = ACTION_CAUSE_DENIED;
        return false;
    case CODE(NAME_UNRESOLVABLE):
    case CODE(PERMANENT_RESOLVER_FAILURE):
    case CODE(TEMPORARY_RESOLVER_FAILURE):
        action_fail(failure, ACTION_UNAVAILABLE, "the name is unknown");
        failure->cause = ACTION_CAUSE_NAME_UNKNOWN;
        return false;
    case CODE(CONNECTION_REFUSED):
        action_fail(failure, ACTION_UNAVAILABLE, "nobody listens there");
        failure->cause = ACTION_CAUSE_CONNECT_FAILED;
        return false;
    case CODE(REMOTE_UNREACHABLE):
        action_fail(failure, ACTION_UNAVAILABLE, "there is no way to there");
        failure->cause = ACTION_CAUSE_CONNECT_FAILED;
        return false;
    case CODE(DATAGRAM_TOO_LARGE):
        action_fail(failure, ACTION_INVALID_INPUT, "too large for a datagram");
        failure->cause = ACTION_CAUSE_TOO_LARGE;
        return false;
    case CODE(INVALID_ARGUMENT): return action_fail(failure, ACTION_INVALID_CONFIG, "this is no address");
    default:
        action_fail(failure, ACTION_UNAVAILABLE, "the datagram could not be sent (socket error %u)", code);
        if (is_open) failure->advice = ACTION_IN_DOUBT;
        return false;
    }
}

/* Waits until it is ready. */
static void block(wasi_io_poll_own_pollable_t pollable) {
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
}

/* All addresses of a name: gives the first, and how many there are. */
static bool lookup(NETWORK(borrow_network_t) network, const char *host, NETWORK(ip_address_t) *first, size_t *count,
                   action_failure *failure) {
    action_udp_string_t name = {(uint8_t *)(uintptr_t)host, strlen(host)};
    LOOKUP(own_resolve_address_stream_t) stream;
    NETWORK(error_code_t) code;
    if (!LOOKUP(resolve_addresses)(network, &name, &stream, &code)) return fail_socket(code, false, failure);
    LOOKUP(borrow_resolve_address_stream_t) found = LOOKUP(borrow_resolve_address_stream)(stream);
    for (*count = 0;;) {
        LOOKUP(option_ip_address_t) address;
        if (!LOOKUP(method_resolve_address_stream_resolve_next_address)(found, &address, &code)) {
            if (code != CODE(WOULD_BLOCK)) return fail_socket(code, false, failure);
            block(LOOKUP(method_resolve_address_stream_subscribe)(found));
            continue;
        }
        if (!address.is_some) break;
        if ((*count)++ == 0) *first = address.val;
    }
    return *count > 0 ? true : fail_socket(CODE(NAME_UNRESOLVABLE), false, failure);
}

bool action_udp_lookup(const char *host, size_t *addresses, action_failure *failure) {
    NETWORK(ip_address_t) first;
    NETWORK(borrow_network_t) network = NETWORK(borrow_network)(wasi_sockets_instance_network_instance_network());
    return lookup(network, host, &first, addresses, failure);
}

/* A socket of this family, at a port that the system chooses. */
static bool open_socket(NETWORK(borrow_network_t) network, uint8_t family, UDP(borrow_udp_socket_t) *socket,
                        action_failure *failure) {
    UDP(own_udp_socket_t) own;
    NETWORK(error_code_t) code;
    if (!wasi_sockets_udp_create_socket_create_udp_socket(family, &own, &code)) return fail_socket(code, false, failure);
    *socket = UDP(borrow_udp_socket)(own);
    /* All zeroes: any address, any port. */
    UDP(ip_socket_address_t) any = {.tag = family};
    if (!UDP(method_udp_socket_start_bind)(*socket, network, &any, &code)) return fail_socket(code, false, failure);
    while (!UDP(method_udp_socket_finish_bind)(*socket, &code)) {
        if (code != CODE(WOULD_BLOCK)) return fail_socket(code, false, failure);
        block(UDP(method_udp_socket_subscribe)(*socket));
    }
    return true;
}

/* Waits for the news that nobody listens, which comes as an error of receiving. */
static bool settle(UDP(borrow_incoming_datagram_stream_t) incoming, uint32_t settle_ms, action_failure *failure) {
    const uint64_t nanoseconds_in_millisecond = 1000000;
    wasi_io_poll_own_pollable_t news = UDP(method_incoming_datagram_stream_subscribe)(incoming);
    wasi_io_poll_own_pollable_t time =
        wasi_clocks_monotonic_clock_subscribe_duration(settle_ms * nanoseconds_in_millisecond);
    wasi_io_poll_borrow_pollable_t either[] = {wasi_io_poll_borrow_pollable(news), wasi_io_poll_borrow_pollable(time)};
    wasi_io_poll_list_borrow_pollable_t list = {either, 2};
    action_udp_list_u32_t ready;
    wasi_io_poll_poll(&list, &ready);
    UDP(list_incoming_datagram_t) datagrams;
    NETWORK(error_code_t) code;
    bool received = UDP(method_incoming_datagram_stream_receive)(incoming, 1, &datagrams, &code);
    return received || fail_socket(code, true, failure);
}

bool action_udp_send(const char *host, uint16_t port, const void *data, size_t len, uint32_t settle_ms,
                     action_failure *failure) {
    NETWORK(borrow_network_t) network = NETWORK(borrow_network)(wasi_sockets_instance_network_instance_network());
    NETWORK(ip_address_t) address;
    NETWORK(error_code_t) code;
    size_t count;
    if (!lookup(network, host, &address, &count, failure)) return false;
    UDP(borrow_udp_socket_t) socket;
    if (!open_socket(network, address.tag, &socket, failure)) return false;

    UDP(ip_socket_address_t) remote = {.tag = address.tag};
    if (address.tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4) {
        remote.val.ipv4.port = port;
        remote.val.ipv4.address = address.val.ipv4;
    } else {
        remote.val.ipv6.port = port;
        remote.val.ipv6.address = address.val.ipv6;
    }
    UDP(tuple2_own_incoming_datagram_stream_own_outgoing_datagram_stream_t) streams;
    if (!UDP(method_udp_socket_stream)(socket, &remote, &streams, &code)) return fail_socket(code, false, failure);
    UDP(borrow_outgoing_datagram_stream_t) outgoing = UDP(borrow_outgoing_datagram_stream)(streams.f1);

    for (uint64_t allowed = 0;;) {
        if (!UDP(method_outgoing_datagram_stream_check_send)(outgoing, &allowed, &code)) return fail_socket(code, false, failure);
        if (allowed > 0) break;
        block(UDP(method_outgoing_datagram_stream_subscribe)(outgoing));
    }
    UDP(outgoing_datagram_t) datagram = {.data = {(uint8_t *)(uintptr_t)data, len}};
    UDP(list_outgoing_datagram_t) list = {&datagram, 1};
    uint64_t sent = 0;
    if (!UDP(method_outgoing_datagram_stream_send)(outgoing, &list, &sent, &code)) return fail_socket(code, false, failure);
    if (sent == 0) return action_fail(failure, ACTION_UNAVAILABLE, "the system took no datagram");
    return settle_ms == 0 || settle(UDP(borrow_incoming_datagram_stream)(streams.f0), settle_ms, failure);
}
