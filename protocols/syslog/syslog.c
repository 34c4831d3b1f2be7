/*
 * The protocol `syslog`: sends messages of RFC 5424 over UDP, TCP or TLS.
 */
#include "action.h"
#include "action_udp.h"
#include "documentation.h"
#include "message.h"

#include <string.h>

enum { UDP, TCP, TLS };
static const char *const transports[] = {"udp", "tcp", "tls", NULL};
enum { AVOID, ACCEPT };
static const char *const repeats[] = {"avoid", "accept", NULL};

struct config {
    const char *address;
    int transport;
    int facility;
    int severity;
    const char *host_name;
    const char *app_name;
    const char *process_id;
    const char *message_id;
    const char *ca;
    const char *server_name;
    const char *client_chain;
    action_secret client_key;
    int repeat;
    int64_t message_bytes_max;
    int64_t timeout_ms;
    int64_t settle_ms;
};

/* Longest header fields of RFC 5424, 6.2. */
#define HOST_NAME_BYTES_MAX 255
#define APP_NAME_BYTES_MAX 48
#define PROCESS_ID_BYTES_MAX 128
#define MESSAGE_ID_BYTES_MAX 32
/* What fits into a datagram over IPv4: 65,535 without the headers of IP and UDP. */
#define DATAGRAM_BYTES_MAX 65507

static const action_field fields[] = {
    ACTION_FIELD(struct config, address, "The receiver, `host:port`. Usual ports: 514 for UDP and TCP, 6514 for TLS.",
                 .required = true, .egress = "tcp"),
    ACTION_FIELD(struct config, transport, "`udp`, `tcp` (octet counting, RFC 6587) or `tls` (RFC 5425).",
                 .choices = transports, .fallback = "\"tcp\""),
    ACTION_FIELD(struct config, facility, "Where a message comes from, unless the input says.",
                 .choices = syslog_facilities, .fallback = "\"user\""),
    ACTION_FIELD(struct config, severity, "How grave it is, unless the input says.", .choices = syslog_severities,
                 .fallback = "\"notice\""),
    ACTION_FIELD(struct config, host_name, "HOSTNAME of the messages; none where absent.", .min = 1,
                 .max = HOST_NAME_BYTES_MAX),
    ACTION_FIELD(struct config, app_name, "APP-NAME of the messages.", .min = 1, .max = APP_NAME_BYTES_MAX,
                 .fallback = "\"action-service\""),
    ACTION_FIELD(struct config, process_id, "PROCID of the messages; the execution's id where absent.", .min = 1,
                 .max = PROCESS_ID_BYTES_MAX),
    ACTION_FIELD(struct config, message_id, "MSGID of the messages, unless the input says; none where absent.",
                 .min = 1, .max = MESSAGE_ID_BYTES_MAX),
    ACTION_FIELD(struct config, ca, "TLS: certificates (PEM) to trust beside the well-known ones."),
    ACTION_FIELD(struct config, server_name, "TLS: the name in the receiver's certificate; the host of the address where absent."),
    ACTION_FIELD(struct config, client_chain, "TLS: certificate (PEM) of this side, leaf first; with `client_key`."),
    ACTION_FIELD(struct config, client_key, "TLS: key (PEM) of `client_chain`."),
    ACTION_FIELD(struct config, repeat,
                 "What to do when nobody knows whether a message arrived. `avoid`: not repeated by itself. "
                 "`accept`: a message may come twice, and is sent again.",
                 .choices = repeats, .fallback = "\"avoid\""),
    ACTION_FIELD(struct config, message_bytes_max,
                 "A longer message is refused, not cut. 2,048 is what every receiver should take.", .min = 480,
                 .max = 1048576, .fallback = "8192"),
    ACTION_FIELD(struct config, timeout_ms, "For writing a message, in milliseconds.", .min = 1, .max = 600000,
                 .fallback = "10000"),
    ACTION_FIELD(struct config, settle_ms,
                 "How long to wait, when a message was sent, for the news that it went nowhere, in milliseconds. "
                 "Syslog has no answers: 0 sends and hopes.",
                 .max = 10000, .fallback = "0"),
    {0},
};

static const char input_schema[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"message\"],\"properties\":{"
    "\"message\":{\"type\":\"string\",\"description\":\"The text.\"},"
    "\"facility\":{\"enum\":[\"kern\",\"user\",\"mail\",\"daemon\",\"auth\",\"syslog\",\"lpr\",\"news\",\"uucp\",\"cron\","
    "\"authpriv\",\"ftp\",\"ntp\",\"audit\",\"alert\",\"clock\",\"local0\",\"local1\",\"local2\",\"local3\",\"local4\","
    "\"local5\",\"local6\",\"local7\"]},"
    "\"severity\":{\"enum\":[\"emerg\",\"alert\",\"crit\",\"err\",\"warning\",\"notice\",\"info\",\"debug\"]},"
    "\"message_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":32,\"description\":\"MSGID, printable ASCII.\"},"
    "\"time\":{\"type\":\"string\",\"format\":\"date-time\",\"description\":\"Of the message; now where absent.\"},"
    "\"structured_data\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\","
    "\"additionalProperties\":{\"type\":\"string\"}},"
    "\"description\":\"By id and name: {\\\"origin\\\": {\\\"software\\\": \\\"shop\\\"}}.\"}}}";

static const char output_schema[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
    "\"required\":[\"transport\",\"bytes\",\"priority\"],\"properties\":{"
    "\"transport\":{\"enum\":[\"udp\",\"tcp\",\"tls\"]},"
    "\"bytes\":{\"type\":\"integer\",\"description\":\"Of the message, without framing.\"},"
    "\"priority\":{\"type\":\"integer\",\"description\":\"PRI: facility times 8, and severity.\"}}}";

/* ---- config ---- */

static void check_field(action_verdict *verdict, const char *pointer, const char *text, size_t len_max) {
    if (text != NULL && !syslog_is_field(text, len_max)) {
        action_refuse(verdict, pointer, "header_field", "must be 1 to %zu printable ASCII characters without spaces", len_max);
    }
}

static void validate(const void *given, action_verdict *verdict) {
    const struct config *config = given;
    const char *host;
    uint16_t port;
    if (!action_split_address(config->address, &host, &port)) {
        action_refuse(verdict, "/address", "address", "must be host:port, an IPv6 address in brackets");
    }
    check_field(verdict, "/host_name", config->host_name, HOST_NAME_BYTES_MAX);
    check_field(verdict, "/app_name", config->app_name, APP_NAME_BYTES_MAX);
    check_field(verdict, "/process_id", config->process_id, PROCESS_ID_BYTES_MAX);
    check_field(verdict, "/message_id", config->message_id, MESSAGE_ID_BYTES_MAX);
    if ((config->client_chain == NULL) != (config->client_key.handle == NULL)) {
        action_refuse(verdict, config->client_chain == NULL ? "/client_key" : "/client_chain", "half_identity",
                      "client_chain and client_key go together");
    }
    if (config->transport == UDP && config->message_bytes_max > DATAGRAM_BYTES_MAX) {
        action_refuse(verdict, "/message_bytes_max", "datagram", "a datagram holds %d bytes at most", DATAGRAM_BYTES_MAX);
    }
    if (config->transport != TLS) {
        const struct {
            const char *pointer, *value;
        } unused[] = {{"/ca", config->ca}, {"/server_name", config->server_name}, {"/client_chain", config->client_chain}};
        for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) {
            if (unused[i].value != NULL) action_warn(verdict, unused[i].pointer, "no_tls", "counts for the transport tls only");
        }
    }
    if (config->transport == UDP) {
        action_warn(verdict, "/transport", "may_be_lost", "datagrams get lost and nobody is told; tcp and tls are safer");
    }
    /* Receivers know no idempotency key: a repeat is a second entry in a log. */
    verdict->effect = config->repeat == ACCEPT ? ACTION_EFFECT_IDEMPOTENT : ACTION_EFFECT_UNSAFE;
}

/* ---- connection ---- */

static bool open_stream(const struct config *config, action_connection *connection, action_failure *failure) {
    const char *host;
    uint16_t port;
    if (!action_split_address(config->address, &host, &port)) {
        return action_fail(failure, ACTION_INVALID_CONFIG, "the address is not host:port");
    }
    action_tls tls = {config->server_name, config->ca, config->client_chain, config->client_key, NULL};
    if (!action_connect(connection, host, port, config->transport == TLS ? &tls : NULL, failure)) return false;
    action_set_timeout(*connection, (uint32_t)config->timeout_ms);
    return true;
}

static bool test_connection(const void *given, action_report *report, action_failure *failure) {
    const struct config *config = given;
    if (config->transport == UDP) {
        const char *host;
        uint16_t port;
        size_t addresses;
        if (!action_split_address(config->address, &host, &port)) {
            return action_fail(failure, ACTION_INVALID_CONFIG, "the address is not host:port");
        }
        if (!action_udp_lookup(host, &addresses, failure)) return false;
        report->summary = action_format("%s has %zu address(es); UDP gives no answer, and nothing was sent", host, addresses);
        report->details = action_format("{\"transport\":\"udp\",\"addresses\":%zu}", addresses);
        return true;
    }
    action_connection connection;
    if (!open_stream(config, &connection, failure)) return false;
    action_close(connection);
    action_buffer details = {0};
    action_add_format(&details, "{\"transport\":\"%s\",\"address\":", transports[config->transport]);
    action_add_json(&details, config->address, strlen(config->address));
    action_add_text(&details, "}");
    report->summary = action_format("%s took a %s connection; nothing was sent", config->address,
                                    config->transport == TLS ? "TLS" : "TCP");
    report->details = details.data;
    return true;
}

/* ---- input ---- */

static bool refuse_input(action_failure *failure, const char *pointer, const char *why) {
    return action_fail(failure, ACTION_INVALID_INPUT, "%s: %s", pointer, why);
}

/* Overrides a number of the message by a word of the input, where there is one. */
static bool read_word(const action_json *input, const char *name, const char *const *words, int *number, action_failure *failure) {
    if (action_json_get(input, name) == NULL) return true;
    const char *word = action_json_text(input, name);
    int found = word != NULL ? syslog_number(words, word) : -1;
    if (found < 0) return refuse_input(failure, name, "is not one of the words");
    *number = found;
    return true;
}

static bool read_object(const action_json *input, syslog_message *message, action_failure *failure) {
    static const char *const known[] = {"message", "facility", "severity", "message_id", "time", "structured_data", NULL};
    for (const action_json *member = input->first; member != NULL; member = member->next) {
        if (syslog_number(known, member->name) < 0) return refuse_input(failure, member->name, "is not a property of the input");
    }
    const action_json *text = action_json_get(input, "message");
    if (text == NULL || text->kind != ACTION_JSON_STRING) return refuse_input(failure, "message", "must be a string");
    message->text = text->text;
    message->text_len = text->len;
    if (!read_word(input, "facility", syslog_facilities, &message->facility, failure)) return false;
    if (!read_word(input, "severity", syslog_severities, &message->severity, failure)) return false;
    if (action_json_get(input, "message_id") != NULL) {
        message->message_id = action_json_text(input, "message_id");
        if (message->message_id == NULL || !syslog_is_field(message->message_id, MESSAGE_ID_BYTES_MAX)) {
            return refuse_input(failure, "message_id", "must be 1 to 32 printable ASCII characters without spaces");
        }
    }
    if (action_json_get(input, "time") != NULL) {
        const char *time = action_json_text(input, "time");
        if (time == NULL || !syslog_read_time(time, &message->time)) return refuse_input(failure, "time", "must be a time of RFC 3339");
    }
    message->structured_data = action_json_get(input, "structured_data");
    const char *why;
    if (message->structured_data != NULL && !syslog_is_structured_data(message->structured_data, &why)) {
        return refuse_input(failure, "structured_data", why);
    }
    return true;
}

/* JSON is an object with the message's parts, anything else is the text itself. */
static bool read_input(const action_payload *input, syslog_message *message, action_failure *failure) {
    if (strncmp(input->content_type, "application/json", strlen("application/json")) != 0) {
        if (!action_is_utf8(input->data, input->len)) return refuse_input(failure, "the input", "is neither JSON nor UTF-8");
        message->text = (const char *)input->data;
        message->text_len = input->len;
        return true;
    }
    const char *error;
    const action_json *json = action_json_parse((const char *)input->data, input->len, &error);
    if (json == NULL) return refuse_input(failure, "the input", error);
    if (json->kind != ACTION_JSON_OBJECT) return refuse_input(failure, "the input", "must be an object");
    return read_object(json, message, failure);
}

/* ---- work ---- */

/* Watches a connection behind a message. A receiver says nothing, so that a close is bad news,
 * and silence is what is hoped for. */
static bool settle(action_connection connection, uint32_t settle_ms, action_failure *failure) {
    action_bytes read;
    action_set_timeout(connection, settle_ms);
    if (!action_read(connection, 256, &read, failure)) {
        if (failure->cause == ACTION_CAUSE_TIMED_OUT) return true;
        return false;
    }
    if (read.len == 0) {
        action_fail(failure, ACTION_UNAVAILABLE, "the receiver closed the connection behind the message");
        failure->advice = ACTION_IN_DOUBT;
        failure->cause = ACTION_CAUSE_CLOSED;
        return false;
    }
    action_fail(failure, ACTION_BAD_RESPONSE, "the receiver answered, which syslog receivers do not: is it one?");
    failure->advice = ACTION_IN_DOUBT;
    failure->cause = ACTION_CAUSE_BAD_RESPONSE;
    return false;
}

static bool send_message(const struct config *config, const action_buffer *message, action_failure *failure) {
    if (config->transport == UDP) {
        const char *host;
        uint16_t port;
        if (!action_split_address(config->address, &host, &port)) {
            return action_fail(failure, ACTION_INVALID_CONFIG, "the address is not host:port");
        }
        return action_udp_send(host, port, message->data, message->len, (uint32_t)config->settle_ms, failure);
    }
    action_connection connection;
    if (!open_stream(config, &connection, failure)) return false;
    action_buffer framed = syslog_frame(message);
    bool is_sent = action_write(connection, framed.data, framed.len, failure);
    if (is_sent && config->settle_ms > 0) is_sent = settle(connection, (uint32_t)config->settle_ms, failure);
    action_close(connection);
    return is_sent;
}

static bool execute(const action_call *call, action_outcome *outcome, action_failure *failure) {
    const struct config *config = call->config;
    syslog_message message = {
        .facility = config->facility,
        .severity = config->severity,
        .host_name = config->host_name,
        .app_name = config->app_name,
        .process_id = config->process_id != NULL ? config->process_id : call->execution,
        .message_id = config->message_id,
    };
    timespec_get(&message.time, TIME_UTC);
    if (!read_input(&call->input, &message, failure)) return false;
    action_buffer encoded = syslog_encode(&message);
    if (encoded.len > (size_t)config->message_bytes_max) {
        return action_fail(failure, ACTION_INVALID_INPUT, "the message has %zu bytes, more than %lld", encoded.len,
                           (long long)config->message_bytes_max);
    }
    if (!send_message(config, &encoded, failure)) {
        bool may_repeat = config->repeat == ACCEPT && failure->advice == ACTION_IN_DOUBT;
        if (may_repeat) failure->advice = ACTION_RETRY;
        return false;
    }
    action_buffer output = {0};
    action_add_format(&output, "{\"transport\":\"%s\",\"bytes\":%zu,\"priority\":%d}", transports[config->transport],
                      encoded.len, message.facility * 8 + message.severity);
    action_output_json(outcome, &output);
    return true;
}

static const action_example examples[] = {
    {"Over TCP, to a receiver in the same network", "{\"address\":\"logs.example.com:514\",\"facility\":\"local0\"}"},
    {"Over TLS, with a private CA",
     "{\"address\":\"logs.example.com:6514\",\"transport\":\"tls\",\"ca\":\"-----BEGIN CERTIFICATE-----\\n…\\n-----END "
     "CERTIFICATE-----\\n\",\"severity\":\"warning\",\"settle_ms\":200}"},
    {"Over TCP, watched for a moment, repeats welcome",
     "{\"address\":\"logs.example.com:514\",\"repeat\":\"accept\",\"settle_ms\":100}"},
    {0},
};


const action_protocol_definition action_exported = {
    .name = "syslog",
    .version = "0.1.0",
    .summary = "Sends log messages (RFC 5424) over UDP, TCP or TLS",
    .documentation = documentation,
    .fields = fields,
    .config_size = sizeof(struct config),
    .input_schema = input_schema,
    .output_schema = output_schema,
    .examples = examples,
    .validate = validate,
    .test_connection = test_connection,
    .execute = execute,
};
