/*
 * What the service offers: the way out, the record, capture and state, secrets.
 */
#include "../bindings/action_protocol.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define OUTBOUND(name) julee_action_outbound_##name
#define TEXT(text) ((action_protocol_string_t){(uint8_t *)(uintptr_t)(text), strlen(text)})
#define BYTES(data, len) ((action_protocol_list_u8_t){(uint8_t *)(uintptr_t)(data), len})

/* ---- failures ---- */

bool action_fail(action_failure *failure, action_failure_kind kind, const char *format, ...) {
    action_buffer message = {0};
    va_list arguments;
    va_start(arguments, format);
    action_add_list(&message, format, arguments);
    va_end(arguments);
    bool may_pass = kind == ACTION_RATE_LIMITED || kind == ACTION_UNAVAILABLE;
    *failure = (action_failure){.kind = kind, .message = message.data, .advice = may_pass ? ACTION_RETRY : ACTION_GIVE_UP};
    return false;
}

/* What an error on the way out means. Where the request may have been carried out and nobody
 * knows, a repeat is right only if it does no harm. */
static bool fail_outbound(const OUTBOUND(outbound_error_t) *error, bool may_repeat, action_failure *failure) {
    static const struct {
        action_failure_kind kind;
        action_cause cause;
        bool is_open;
        const char *words;
    } meanings[] = {
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_DENIED] = {ACTION_INVALID_CONFIG, ACTION_CAUSE_DENIED, false, ""},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_NAME_UNKNOWN] = {ACTION_UNAVAILABLE, ACTION_CAUSE_NAME_UNKNOWN, false, "the name is unknown: "},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_CONNECT_FAILED] = {ACTION_UNAVAILABLE, ACTION_CAUSE_CONNECT_FAILED, false, "no connection: "},
        /* A repeat would bring the same certificate. */
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_TLS_FAILED] = {ACTION_BAD_RESPONSE, ACTION_CAUSE_TLS_FAILED, false, "no TLS: "},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_TIMED_OUT] = {ACTION_UNAVAILABLE, ACTION_CAUSE_TIMED_OUT, true, "it took too long"},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_CLOSED] = {ACTION_UNAVAILABLE, ACTION_CAUSE_CLOSED, true, "the connection was closed"},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_TOO_LARGE] = {ACTION_BAD_RESPONSE, ACTION_CAUSE_TOO_LARGE, false, "the answer is too large, over this many bytes: "},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_BAD_REQUEST] = {ACTION_INVALID_CONFIG, ACTION_CAUSE_BAD_REQUEST, false, "the request makes no sense: "},
        [JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_BAD_RESPONSE] = {ACTION_BAD_RESPONSE, ACTION_CAUSE_BAD_RESPONSE, true, "the answer makes no sense: "},
    };
    action_failure_kind kind = meanings[error->tag].kind;
    const char *words = meanings[error->tag].words;
    switch (error->tag) {
    case JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_TIMED_OUT:
    case JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_CLOSED: action_fail(failure, kind, "%s", words); break;
    case JULEE_ACTION_OUTBOUND_OUTBOUND_ERROR_TOO_LARGE:
        action_fail(failure, kind, "%s%lu", words, (unsigned long)error->val.too_large);
        break;
    /* All others carry a text, at the same place. */
    default: action_fail(failure, kind, "%s%.*s", words, (int)error->val.denied.len, (const char *)error->val.denied.ptr);
    }
    failure->cause = meanings[error->tag].cause;
    if (meanings[error->tag].is_open) failure->advice = may_repeat ? ACTION_RETRY : ACTION_IN_DOUBT;
    return false;
}

/* ---- the way out ---- */

static OUTBOUND(tls_options_t) *lend_tls(const action_tls *tls) {
    if (tls == NULL) return NULL;
    OUTBOUND(tls_options_t) *options = action_alloc(sizeof *options);
    if (tls->server_name != NULL) options->server_name.is_some = true, options->server_name.val = TEXT(tls->server_name);
    if (tls->extra_roots != NULL) options->extra_roots.is_some = true, options->extra_roots.val = TEXT(tls->extra_roots);
    if (tls->client_chain != NULL && tls->client_key.handle != NULL) {
        options->client_identity.is_some = true;
        options->client_identity.val.chain = TEXT(tls->client_chain);
        options->client_identity.val.key = TEXT(tls->client_key.handle);
    }
    size_t count = 0;
    while (tls->alpn != NULL && tls->alpn[count] != NULL) count++;
    options->alpn.ptr = action_alloc(count * sizeof *options->alpn.ptr);
    options->alpn.len = count;
    for (size_t i = 0; i < count; i++) options->alpn.ptr[i] = TEXT(tls->alpn[i]);
    return options;
}

/* Zero-terminated copies. */
static const char *keep(const void *data, size_t len) {
    char *copy = action_alloc(len + 1);
    if (len > 0) memcpy(copy, data, len);
    return copy;
}

bool action_http_send(const action_http_request *request, action_http_response *response, action_failure *failure) {
    OUTBOUND(http_request_t) own = {.method = TEXT(request->method), .url = TEXT(request->url)};
    size_t count = 0;
    while (request->headers != NULL && request->headers[count].name != NULL) count++;
    own.headers.ptr = action_alloc(count * sizeof *own.headers.ptr);
    own.headers.len = count;
    for (size_t i = 0; i < count; i++) {
        const action_header *header = &request->headers[i];
        own.headers.ptr[i] = (OUTBOUND(header_t)){TEXT(header->name), BYTES(header->value, strlen(header->value))};
    }
    if (request->body != NULL) own.body.is_some = true, own.body.val = BYTES(request->body, request->body_len);
    if (request->timeout_ms > 0) own.timeout_ms.is_some = true, own.timeout_ms.val = request->timeout_ms;
    OUTBOUND(tls_options_t) *tls = lend_tls(request->tls);
    if (tls != NULL) own.tls.is_some = true, own.tls.val = *tls;

    OUTBOUND(http_response_t) answer;
    OUTBOUND(outbound_error_t) error;
    if (!OUTBOUND(send)(&own, &answer, &error)) return fail_outbound(&error, request->may_repeat, failure);
    action_header *headers = action_alloc((answer.headers.len + 1) * sizeof *headers);
    for (size_t i = 0; i < answer.headers.len; i++) {
        const OUTBOUND(header_t) *header = &answer.headers.ptr[i];
        headers[i].name = keep(header->name.ptr, header->name.len);
        headers[i].value = keep(header->value.ptr, header->value.len);
    }
    *response = (action_http_response){answer.status, headers, answer.body.ptr, answer.body.len};
    return true;
}

static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

const char *action_http_header(const action_http_response *response, const char *name) {
    for (const action_header *header = response->headers; header->name != NULL; header++) {
        size_t i = 0;
        while (name[i] != 0 && lower(name[i]) == lower(header->name[i])) i++;
        if (name[i] == 0 && header->name[i] == 0) return header->value;
    }
    return NULL;
}

bool action_connect(action_connection *connection, const char *host, uint16_t port, const action_tls *tls,
                    action_failure *failure) {
    action_protocol_string_t name = TEXT(host);
    OUTBOUND(own_connection_t) made;
    OUTBOUND(outbound_error_t) error;
    /* Nothing was asked of the remote yet, so that a repeat does no harm. */
    if (!OUTBOUND(connect)(&name, port, lend_tls(tls), &made, &error)) return fail_outbound(&error, true, failure);
    connection->handle = made.__handle;
    return true;
}

static OUTBOUND(borrow_connection_t) borrow(action_connection connection) {
    return (OUTBOUND(borrow_connection_t)){connection.handle};
}

bool action_read(action_connection connection, uint32_t bytes_max, action_bytes *read, action_failure *failure) {
    action_protocol_list_u8_t bytes;
    OUTBOUND(outbound_error_t) error;
    if (!OUTBOUND(method_connection_read)(borrow(connection), bytes_max, &bytes, &error)) {
        return fail_outbound(&error, false, failure);
    }
    *read = (action_bytes){bytes.ptr, bytes.len};
    return true;
}

bool action_write(action_connection connection, const void *data, size_t len, action_failure *failure) {
    action_protocol_list_u8_t bytes = BYTES(data, len);
    OUTBOUND(outbound_error_t) error;
    if (OUTBOUND(method_connection_write)(borrow(connection), &bytes, &error)) return true;
    return fail_outbound(&error, false, failure);
}

bool action_start_tls(action_connection connection, const action_tls *tls, action_failure *failure) {
    static const action_tls usual;
    action_protocol_option_string_t alpn;
    OUTBOUND(outbound_error_t) error;
    OUTBOUND(tls_options_t) *options = lend_tls(tls != NULL ? tls : &usual);
    if (OUTBOUND(method_connection_start_tls)(borrow(connection), options, &alpn, &error)) return true;
    return fail_outbound(&error, false, failure);
}

void action_set_timeout(action_connection connection, uint32_t timeout_ms) {
    OUTBOUND(method_connection_set_timeout)(borrow(connection), timeout_ms);
}

void action_close(action_connection connection) {
    OUTBOUND(connection_drop_own)((OUTBOUND(own_connection_t)){connection.handle});
}

bool action_split_address(const char *address, const char **host, uint16_t *port) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) return false;
    size_t len = (size_t)(colon - address);
    bool has_brackets = address[0] == '[' && address[len - 1] == ']' && len > 2;
    /* A bare IPv6 address has colons of its own: it needs its brackets. */
    if (!has_brackets && (memchr(address, ':', len) != NULL || strpbrk(address, "[]") != NULL)) return false;
    unsigned long number = 0;
    const char *digit = colon + 1;
    for (; *digit >= '0' && *digit <= '9' && number <= UINT16_MAX; digit++) number = number * 10 + (unsigned long)(*digit - '0');
    if (digit == colon + 1 || *digit != 0 || number == 0 || number > UINT16_MAX) return false;
    *host = has_brackets ? keep(address + 1, len - 2) : keep(address, len);
    *port = (uint16_t)number;
    return true;
}

/* ---- the record ---- */

void action_log(action_level level, const char *format, ...) {
    action_buffer message = {0};
    va_list arguments;
    va_start(arguments, format);
    action_add_list(&message, format, arguments);
    va_end(arguments);
    action_protocol_string_t text = {(uint8_t *)message.data, message.len};
    julee_action_journal_log((uint8_t)level, &text);
}

void action_progress(uint32_t completed, uint32_t total, const char *message) {
    action_protocol_string_t text = TEXT(message);
    julee_action_journal_progress(completed, total > 0 ? &total : NULL, &text);
}

/* ---- what comes in ---- */

static bool fail_capture(const julee_action_capture_capture_error_t *error, action_failure *failure) {
    const action_protocol_string_t *why = &error->val.too_large;
    bool is_too_large = error->tag == JULEE_ACTION_CAPTURE_CAPTURE_ERROR_TOO_LARGE;
    action_failure_kind kind = is_too_large ? ACTION_BAD_RESPONSE : ACTION_UNAVAILABLE;
    return action_fail(failure, kind, "%s: %.*s", is_too_large ? "too large" : "capture", (int)why->len, (const char *)why->ptr);
}

bool action_emit(const char *key, const char *kind, const action_payload *content, action_failure *failure) {
    julee_action_capture_item_t item = {.kind = TEXT(kind)};
    if (key != NULL) item.key.is_some = true, item.key.val = TEXT(key);
    item.content.content_type = TEXT(content->content_type);
    item.content.data = BYTES(content->data, content->len);
    julee_action_capture_capture_error_t error;
    return julee_action_capture_emit(&item, &error) || fail_capture(&error, failure);
}

bool action_state_get(const char *key, action_bytes *value, bool *found, action_failure *failure) {
    action_protocol_string_t name = TEXT(key);
    action_protocol_option_list_u8_t stored;
    julee_action_capture_capture_error_t error;
    if (!julee_action_capture_get_state(&name, &stored, &error)) return fail_capture(&error, failure);
    *found = stored.is_some;
    *value = stored.is_some ? (action_bytes){stored.val.ptr, stored.val.len} : (action_bytes){0};
    return true;
}

bool action_state_set(const char *key, const void *data, size_t len, action_failure *failure) {
    action_protocol_string_t name = TEXT(key);
    action_protocol_list_u8_t value = BYTES(data, len);
    julee_action_capture_capture_error_t error;
    return julee_action_capture_set_state(&name, &value, &error) || fail_capture(&error, failure);
}

bool action_state_delete(const char *key, action_failure *failure) {
    action_protocol_string_t name = TEXT(key);
    julee_action_capture_capture_error_t error;
    return julee_action_capture_delete_state(&name, &error) || fail_capture(&error, failure);
}

bool action_checkpoint(uint32_t *new_items, action_failure *failure) {
    julee_action_capture_capture_error_t error;
    return julee_action_capture_checkpoint(new_items, &error) || fail_capture(&error, failure);
}

/* ---- secrets ---- */

static bool fail_secret(julee_action_secrets_secret_error_t error, action_failure *failure) {
    bool is_unknown = error == JULEE_ACTION_SECRETS_SECRET_ERROR_UNKNOWN_HANDLE;
    return action_fail(failure, ACTION_INVALID_CONFIG, "%s",
                       is_unknown ? "this is not a reference to a secret"
                                  : "the action does not allow this protocol to see the secret");
}

bool action_reveal(action_secret secret, action_bytes *value, action_failure *failure) {
    action_protocol_string_t handle = TEXT(secret.handle);
    action_protocol_list_u8_t revealed;
    julee_action_secrets_secret_error_t error;
    if (!julee_action_secrets_reveal(&handle, &revealed, &error)) return fail_secret(error, failure);
    *value = (action_bytes){revealed.ptr, revealed.len};
    return true;
}

bool action_hmac_sha256(action_secret secret, bool base64, const char *prefix, const void *message, size_t len,
                        uint8_t digest[32], action_failure *failure) {
    action_protocol_string_t handle = TEXT(secret.handle), before = TEXT(prefix != NULL ? prefix : "");
    action_protocol_list_u8_t bytes = BYTES(message, len), made;
    julee_action_secrets_secret_error_t error;
    uint8_t encoding = base64 ? JULEE_ACTION_SECRETS_KEY_ENCODING_BASE64 : JULEE_ACTION_SECRETS_KEY_ENCODING_RAW;
    if (!julee_action_secrets_hmac_sha256(&handle, encoding, &before, &bytes, &made, &error)) {
        return fail_secret(error, failure);
    }
    if (made.len != 32) return action_fail(failure, ACTION_INTERNAL, "an HMAC of %zu bytes", made.len);
    memcpy(digest, made.ptr, 32);
    return true;
}
