/*
 * Write protocols for the action service in C.
 *
 * A protocol is one constant, `action_exported`, that says what it is and names its functions.
 * Its config is a struct and a table of the struct's members: the JSON Schema is made from the
 * table, and so is the check that fills the struct, so that the two cannot drift apart.
 *
 *     struct config { const char *url; };
 *
 *     static const action_field fields[] = {
 *         ACTION_FIELD(struct config, url, "Where to look.", .required = true, .egress = "http"),
 *         {0},
 *     };
 *
 *     static bool execute(const action_call *call, action_outcome *outcome, action_failure *failure) {
 *         const struct config *config = call->config;
 *         action_http_request request = {.method = "GET", .url = config->url, .may_repeat = true};
 *         action_http_response response;
 *         if (!action_http_send(&request, &response, failure)) return false;
 *         action_output(outcome, "text/plain", response.body, response.body_len);
 *         return true;
 *     }
 *
 * Memory: an instance lives for one call of the service. Whatever these functions give stays
 * until it ends, nothing has to be freed, and where there is no memory left the call ends as
 * `memory_exceeded`. So no function here gives back NULL for want of memory.
 *
 * Errors: what can fail is `bool` and fills an `action_failure`; a caller returns false at once.
 *
 * The words are those of the contract, `wit/action.wit`.
 */
#ifndef ACTION_H
#define ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- memory and text ---------------------------------------------------------------- */

/* Zeroed memory, until the call ends. */
void *action_alloc(size_t bytes);

/* A new zero-terminated text, as printf would write it. */
char *action_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef struct {
    const uint8_t *data;
    size_t len;
} action_bytes;

/* Text or bytes that grow; {0} is an empty one. `data` is zero-terminated once something was
 * added to it. */
typedef struct {
    char *data;
    size_t len;
    size_t capacity;
} action_buffer;

void action_add(action_buffer *buffer, const void *data, size_t len);
void action_add_text(action_buffer *buffer, const char *text);
void action_add_format(action_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string, quoted and escaped. What is not UTF-8 becomes U+FFFD. */
void action_add_json(action_buffer *buffer, const char *text, size_t len);

/* ---- JSON --------------------------------------------------------------------------- */

typedef enum {
    ACTION_JSON_NULL,
    ACTION_JSON_BOOLEAN,
    ACTION_JSON_NUMBER,
    ACTION_JSON_STRING,
    ACTION_JSON_ARRAY,
    ACTION_JSON_OBJECT,
} action_json_kind;

typedef struct action_json {
    action_json_kind kind;
    bool boolean;
    double number;
    /* A string's UTF-8, zero-terminated; `\u0000` within it counts in `len`. A number as it stood. */
    const char *text;
    size_t len;
    /* Name of this member, where it is in an object. */
    const char *name;
    size_t name_len;
    /* Members or elements, in their order. */
    struct action_json *first;
    struct action_json *next;
} action_json;

/* Deepest nesting that is read. */
#define ACTION_JSON_DEPTH_MAX 64

/* NULL if this is not JSON (RFC 8259, strictly); then *error says why and where. */
const action_json *action_json_parse(const char *text, size_t len, const char **error);

/* A member; of several with the same name the last one. NULL if there is none or it is no object. */
const action_json *action_json_get(const action_json *object, const char *name);

/* A member's text if it is a string without zero bytes, else NULL. */
const char *action_json_text(const action_json *object, const char *name);

bool action_is_utf8(const void *data, size_t len);

/* ---- failures ----------------------------------------------------------------------- */

typedef enum {
    ACTION_INVALID_CONFIG,  /* The config cannot work. */
    ACTION_INVALID_INPUT,   /* The input cannot be handled. */
    ACTION_UNAUTHENTICATED, /* The remote does not know or does not admit us. */
    ACTION_REJECTED,        /* The remote refused: a repeat would be refused too. */
    ACTION_RATE_LIMITED,    /* The remote asks us to slow down. */
    ACTION_UNAVAILABLE,     /* The remote could not be reached or could not answer. */
    ACTION_BAD_RESPONSE,    /* The remote answered something that makes no sense. */
    ACTION_INTERNAL,        /* A defect of the protocol itself. */
} action_failure_kind;

typedef enum {
    ACTION_GIVE_UP,
    ACTION_RETRY,       /* By the action's own schedule. */
    ACTION_RETRY_AFTER, /* Not before `retry_after_ms`. */
    ACTION_IN_DOUBT,    /* It may or may not have taken effect. */
} action_advice;

/* What went wrong on the way out, for those who want to tell. */
typedef enum {
    ACTION_CAUSE_OTHER,
    ACTION_CAUSE_DENIED,
    ACTION_CAUSE_NAME_UNKNOWN,
    ACTION_CAUSE_CONNECT_FAILED,
    ACTION_CAUSE_TLS_FAILED,
    ACTION_CAUSE_TIMED_OUT,
    ACTION_CAUSE_CLOSED,
    ACTION_CAUSE_TOO_LARGE,
    ACTION_CAUSE_BAD_REQUEST,
    ACTION_CAUSE_BAD_RESPONSE,
} action_cause;

typedef struct {
    action_failure_kind kind;
    const char *message;
    action_advice advice;
    uint32_t retry_after_ms;
    const char *details; /* JSON, or NULL. */
    action_cause cause;
} action_failure;

/* Fills the failure with the advice that its kind usually carries (retry for rate-limited and
 * unavailable, else give up) and returns false: `return action_fail(failure, …);` */
bool action_fail(action_failure *failure, action_failure_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- config ------------------------------------------------------------------------- */

/* A secret in a config: an opaque handle. Put it where the value belongs in HTTP header values,
 * query or basic authentication, and the service puts the value in its place. */
typedef struct {
    const char *handle;
} action_secret;

typedef enum {
    ACTION_FIELD_TEXT,    /* const char *: NULL where absent, without a default */
    ACTION_FIELD_INTEGER, /* int64_t */
    ACTION_FIELD_NUMBER,  /* double */
    ACTION_FIELD_BOOLEAN, /* bool */
    ACTION_FIELD_CHOICE,  /* int: its place among `choices` */
    ACTION_FIELD_SECRET,  /* action_secret: handle NULL where absent */
} action_field_kind;

/* One member of the config. A table of them ends with {0}. */
typedef struct {
    const char *name;
    action_field_kind kind;
    size_t offset;
    const char *description;
    bool required;
    /* "http" at a URL, "tcp" at host:port: what an execution may reach, and nothing else is. */
    const char *egress;
    /* Of an integer, where max is not less than min: 0 and 0 is no bound. Of a text: its bytes. */
    int64_t min;
    int64_t max;
    /* NULL-terminated; of a choice. */
    const char *const *choices;
    /* As JSON text, for instance "\"tcp\"" or "514"; NULL where none. */
    const char *fallback;
} action_field;

/* ACTION_FIELD(struct config, member, "description", .required = true, …): the kind follows from
 * the member's type. */
#define ACTION_FIELD(type, member, ...)                         \
    {                                                           \
        .name = #member, .offset = offsetof(type, member),      \
        .kind = _Generic(((type *)0)->member,                   \
            const char *: ACTION_FIELD_TEXT,                    \
            int64_t: ACTION_FIELD_INTEGER,                      \
            double: ACTION_FIELD_NUMBER,                        \
            bool: ACTION_FIELD_BOOLEAN,                         \
            int: ACTION_FIELD_CHOICE,                           \
            action_secret: ACTION_FIELD_SECRET),                \
        .description = __VA_ARGS__                              \
    }

typedef enum {
    ACTION_EFFECT_READ,       /* Only reads. */
    ACTION_EFFECT_IDEMPOTENT, /* Writes, but a repeat changes nothing further. */
    ACTION_EFFECT_KEYED,      /* The remote drops repeats that carry the same idempotency key. */
    ACTION_EFFECT_UNSAFE,     /* A repeat may act twice. */
} action_effect;

typedef struct {
    const char *pointer; /* JSON Pointer into the config; empty for the whole of it. */
    const char *code;    /* Stable snake_case word. */
    const char *message;
} action_issue;

/* What `validate` says. */
typedef struct {
    action_effect effect;
    action_issue *issues;
    size_t issue_count;
    action_issue *warnings;
    size_t warning_count;
} action_verdict;

/* The config is refused, for this among other reasons: say all of them. */
void action_refuse(action_verdict *verdict, const char *pointer, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Something to know that does not stop anything. */
void action_warn(action_verdict *verdict, const char *pointer, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- what a protocol is ------------------------------------------------------------- */

typedef struct {
    const char *content_type;
    const uint8_t *data;
    size_t len;
} action_payload;

typedef struct {
    const char *name;
    const char *value;
} action_header;

typedef enum { ACTION_TRIGGER_CALL, ACTION_TRIGGER_WEBHOOK, ACTION_TRIGGER_SCHEDULE, ACTION_TRIGGER_EVENT } action_trigger;

typedef struct {
    const char *action, *execution, *correlation;
    uint32_t attempt;            /* 1 for the first. */
    const char *idempotency_key; /* The same for every attempt of one execution. */
    const char *deadline;        /* RFC 3339, UTC. */
    const char *traceparent;     /* NULL where none. */
    action_trigger trigger;
    const char *webhook_method, *webhook_path; /* Of a webhook, else NULL. */
    const action_header *webhook_headers;      /* Ends with {0}. */
    const char *scheduled_at;                  /* Of a schedule, else NULL. */
    const void *config;                        /* The config's struct. */
    const char *config_json;
    action_payload input;
} action_call;

typedef struct {
    action_payload output;
    bool has_reply;
    uint16_t reply_status;
    action_payload reply; /* Its content_type becomes a header. */
} action_outcome;

void action_output(action_outcome *outcome, const char *content_type, const void *data, size_t len);
void action_output_json(action_outcome *outcome, const action_buffer *json);

typedef struct {
    const char *summary; /* One line: who answered, as whom the service is known there. */
    const char *details; /* JSON, or NULL. */
} action_report;

typedef struct {
    const char *name;
    const char *config;
} action_example;

typedef struct {
    const char *name, *version, *summary;
    const char *documentation; /* Markdown. */
    const action_field *fields;
    size_t config_size;        /* sizeof the config's struct. */
    const char *input_schema;  /* JSON Schema, or NULL. */
    const char *output_schema; /* JSON Schema, or NULL. */
    const action_example *examples;  /* Ends with {0}. */
    const char *const *test_methods; /* Beside GET, HEAD, OPTIONS; NULL-terminated, or NULL. */
    /* Says everything that is wrong with a config that fits its table; without network. May be
     * NULL: then every config that fits is accepted, as unsafe. */
    void (*validate)(const void *config, action_verdict *verdict);
    /* Reaches the outside system without changing anything there. */
    bool (*test_connection)(const void *config, action_report *report, action_failure *failure);
    /* Does the work. */
    bool (*execute)(const action_call *call, action_outcome *outcome, action_failure *failure);
} action_protocol_definition;

/* The author defines this one. */
extern const action_protocol_definition action_exported;

/* ---- the way out -------------------------------------------------------------------- */

/* All of it NULL: the well-known roots, and the name that is connected to. */
typedef struct {
    const char *server_name;
    const char *extra_roots;         /* PEM. */
    const char *client_chain;        /* PEM, leaf first; with client_key. */
    action_secret client_key;        /* PEM. */
    const char *const *alpn;         /* NULL-terminated, or NULL. */
} action_tls;

typedef struct {
    const char *method;
    const char *url;
    const action_header *headers; /* Ends with {0}; may be NULL. */
    const void *body;             /* NULL where none. */
    size_t body_len;
    uint32_t timeout_ms; /* 0: the service's default. */
    const action_tls *tls;
    /* A repeat does no harm: then no answer means retry, and not in-doubt. */
    bool may_repeat;
} action_http_request;

typedef struct {
    uint16_t status;
    const action_header *headers; /* Ends with {0}. */
    const uint8_t *body;
    size_t body_len;
} action_http_response;

/* One request and the whole of its response. Redirects are not followed. Any status is an answer. */
bool action_http_send(const action_http_request *request, action_http_response *response, action_failure *failure);
/* The first header of this name, in any case, or NULL. */
const char *action_http_header(const action_http_response *response, const char *name);

/* A TCP connection. Close it when the remote should know that it is over. */
typedef struct {
    int32_t handle;
} action_connection;

/* `tls` NULL: without. */
bool action_connect(action_connection *connection, const char *host, uint16_t port, const action_tls *tls,
                    action_failure *failure);
/* Waits for at least one byte. None: the remote has closed its side. */
bool action_read(action_connection connection, uint32_t bytes_max, action_bytes *read, action_failure *failure);
/* Returns when all is handed to the system. A failure is in-doubt: part of it may have gone. */
bool action_write(action_connection connection, const void *data, size_t len, action_failure *failure);
/* For STARTTLS and its like. */
bool action_start_tls(action_connection connection, const action_tls *tls, action_failure *failure);
/* For each further read and write. */
void action_set_timeout(action_connection connection, uint32_t timeout_ms);
void action_close(action_connection connection);

/* Takes "host:port" or "[address]:port" apart. False if it is neither. */
bool action_split_address(const char *address, const char **host, uint16_t *port);

/* ---- the record --------------------------------------------------------------------- */

typedef enum { ACTION_DEBUG, ACTION_INFO, ACTION_WARN, ACTION_ERROR } action_level;

void action_log(action_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For long work; `total` 0 where nobody knows. */
void action_progress(uint32_t completed, uint32_t total, const char *message);

/* ---- what comes in ------------------------------------------------------------------ */

/* `key` NULL: kept each time; else once in the life of the action. */
bool action_emit(const char *key, const char *kind, const action_payload *content, action_failure *failure);
/* The action's own small store. *found says whether there was anything. */
bool action_state_get(const char *key, action_bytes *value, bool *found, action_failure *failure);
bool action_state_set(const char *key, const void *data, size_t len, action_failure *failure);
bool action_state_delete(const char *key, action_failure *failure);
/* Makes what was emitted and set so far durable. */
bool action_checkpoint(uint32_t *new_items, action_failure *failure);

/* ---- secrets ------------------------------------------------------------------------ */

/* The value itself. The action has to allow it: `grants.reveal`. */
bool action_reveal(action_secret secret, action_bytes *value, action_failure *failure);
/* HMAC-SHA-256 keyed with the secret, without seeing it. `prefix` goes before the key; NULL for
 * none. `base64`: the secret is base64 of the key. */
bool action_hmac_sha256(action_secret secret, bool base64, const char *prefix, const void *message, size_t len,
                        uint8_t digest[32], action_failure *failure);

#endif
