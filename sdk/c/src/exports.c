/*
 * The contract's four functions, made of `action_exported`.
 */
#include "../bindings/action_protocol.h"
#include "internal.h"

#include <string.h>

#define MODEL(name) julee_action_model_##name##_t

/* The contract's type, in memory of ours: nothing is freed behind the call (see below). */
static action_protocol_string_t lend(const char *text) {
    action_protocol_string_t lent = {(uint8_t *)(uintptr_t)text, text != NULL ? strlen(text) : 0};
    return lent;
}

static MODEL(option_json) lend_json(const char *text) {
    MODEL(option_json) option = {text != NULL, lend(text)};
    return option;
}

static MODEL(payload) lend_payload(const action_payload *payload) {
    const char *content_type = payload->content_type != NULL ? payload->content_type : "application/octet-stream";
    MODEL(payload) lent = {lend(content_type), {(uint8_t *)(uintptr_t)payload->data, payload->len}};
    return lent;
}

/* The generated code frees what a call gave when the service has read it. The instance is gone
 * then anyway, and what is given may be a literal: so nothing is freed. These take the place of
 * the weak ones. */
#define KEPT(name)                                                                                    \
    void __wasm_export_exports_julee_action_protocol_api_##name##_post_return(uint8_t *result);       \
    __attribute__((export_name("cabi_post_julee:action/protocol-api@0.1.0#" EXPORTED_##name))) void   \
    __wasm_export_exports_julee_action_protocol_api_##name##_post_return(uint8_t *result) {           \
        (void)result;                                                                                 \
    }
#define EXPORTED_describe "describe"
#define EXPORTED_validate_config "validate-config"
#define EXPORTED_test_connection "test-connection"
#define EXPORTED_execute "execute"
#ifdef __wasm__
KEPT(describe)
KEPT(validate_config)
KEPT(test_connection)
KEPT(execute)
#endif

void exports_julee_action_protocol_api_describe(MODEL(descriptor) *result) {
    const action_protocol_definition *own = &action_exported;
    *result = (MODEL(descriptor)){
        .name = lend(own->name),
        .version = lend(own->version),
        .summary = lend(own->summary),
        .documentation = lend(own->documentation),
        .config_schema = lend(action_schema(own->fields)),
        .input_schema = lend_json(own->input_schema),
        .output_schema = lend_json(own->output_schema),
    };
    size_t count = 0;
    while (own->examples != NULL && own->examples[count].name != NULL) count++;
    result->examples.ptr = action_alloc(count * sizeof *result->examples.ptr);
    result->examples.len = count;
    for (size_t i = 0; i < count; i++) {
        result->examples.ptr[i] = (MODEL(example)){lend(own->examples[i].name), lend(own->examples[i].config)};
    }
    for (count = 0; own->test_methods != NULL && own->test_methods[count] != NULL;) count++;
    result->test_methods.ptr = action_alloc(count * sizeof *result->test_methods.ptr);
    result->test_methods.len = count;
    for (size_t i = 0; i < count; i++) result->test_methods.ptr[i] = lend(own->test_methods[i]);
}

/* ---- config ---- */

static void lend_issues(const action_issue *issues, size_t count, MODEL(list_issue) *result) {
    result->ptr = action_alloc(count * sizeof *result->ptr);
    result->len = count;
    for (size_t i = 0; i < count; i++) {
        result->ptr[i] = (MODEL(issue)){lend(issues[i].pointer), lend(issues[i].code), lend(issues[i].message)};
    }
}

/* The struct of this config; NULL where the verdict has issues. */
static const void *parse(const action_protocol_string_t *text, action_verdict *verdict) {
    void *config = action_alloc(action_exported.config_size);
    return action_config_read((const char *)text->ptr, text->len, action_exported.fields, config, verdict) ? config : NULL;
}

bool exports_julee_action_protocol_api_validate_config(MODEL(json) *text, MODEL(accepted) *accepted,
                                                       exports_julee_action_protocol_api_list_issue_t *refused) {
    action_verdict verdict = {.effect = ACTION_EFFECT_UNSAFE};
    const void *config = parse(text, &verdict);
    if (config != NULL && action_exported.validate != NULL) action_exported.validate(config, &verdict);
    MODEL(list_issue) issues;
    lend_issues(verdict.issues, verdict.issue_count, &issues);
    *refused = (exports_julee_action_protocol_api_list_issue_t){issues.ptr, issues.len};
    if (verdict.issue_count > 0) return false;
    accepted->effect = (uint8_t)verdict.effect;
    lend_issues(verdict.warnings, verdict.warning_count, &accepted->warnings);
    return true;
}

/* ---- failures ---- */

static bool give_failure(const action_failure *failure, MODEL(failure) *result) {
    *result = (MODEL(failure)){
        .kind = (uint8_t)failure->kind,
        .message = lend(failure->message != NULL ? failure->message : "the protocol gave no reason"),
        .details = lend_json(failure->details),
    };
    result->advice.tag = (uint8_t)failure->advice;
    if (failure->advice == ACTION_RETRY_AFTER) result->advice.val.retry_after = failure->retry_after_ms;
    return false;
}

static bool give_issues(const action_verdict *verdict, MODEL(failure) *result) {
    action_buffer details = {0};
    action_add_text(&details, "{\"issues\":[");
    for (size_t i = 0; i < verdict->issue_count; i++) {
        const action_issue *issue = &verdict->issues[i];
        action_add_text(&details, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
        action_add_json(&details, issue->pointer, strlen(issue->pointer));
        action_add_text(&details, ",\"code\":");
        action_add_json(&details, issue->code, strlen(issue->code));
        action_add_text(&details, ",\"message\":");
        action_add_json(&details, issue->message, strlen(issue->message));
        action_add_text(&details, "}");
    }
    action_add_text(&details, "]}");
    action_failure failure = {0};
    action_fail(&failure, ACTION_INVALID_CONFIG, "%s: %s", verdict->issues[0].pointer, verdict->issues[0].message);
    failure.details = details.data;
    return give_failure(&failure, result);
}

/* ---- work ---- */

bool exports_julee_action_protocol_api_test_connection(MODEL(json) *text, MODEL(connection_report) *result,
                                                       MODEL(failure) *failed) {
    action_verdict verdict = {0};
    const void *config = parse(text, &verdict);
    if (config == NULL) return give_issues(&verdict, failed);
    action_report report = {0};
    action_failure failure = {0};
    if (!action_exported.test_connection(config, &report, &failure)) return give_failure(&failure, failed);
    result->summary = lend(report.summary != NULL ? report.summary : "ok");
    result->details = lend(report.details != NULL ? report.details : "{}");
    return true;
}

/* A zero-terminated copy. */
static const char *keep(const action_protocol_string_t *text) {
    char *copy = action_alloc(text->len + 1);
    if (text->len > 0) memcpy(copy, text->ptr, text->len);
    return copy;
}

static void keep_webhook(const MODEL(webhook_request) *request, action_call *call) {
    call->webhook_method = keep(&request->method);
    call->webhook_path = keep(&request->path_with_query);
    action_header *headers = action_alloc((request->headers.len + 1) * sizeof *headers);
    for (size_t i = 0; i < request->headers.len; i++) {
        const MODEL(header) *header = &request->headers.ptr[i];
        action_protocol_string_t value = {header->value.ptr, header->value.len};
        headers[i] = (action_header){keep(&header->name), keep(&value)};
    }
    call->webhook_headers = headers;
}

bool exports_julee_action_protocol_api_execute(MODEL(call) *given, MODEL(outcome) *result, MODEL(failure) *failed) {
    action_verdict verdict = {0};
    action_call call = {
        .action = keep(&given->action),
        .execution = keep(&given->execution),
        .correlation = keep(&given->correlation),
        .attempt = given->attempt,
        .idempotency_key = keep(&given->idempotency_key),
        .deadline = keep(&given->deadline),
        .traceparent = given->traceparent.is_some ? keep(&given->traceparent.val) : NULL,
        .trigger = (action_trigger)given->trigger.tag,
        .config = parse(&given->config, &verdict),
        .config_json = keep(&given->config),
        .input = {keep(&given->input.content_type), given->input.data.ptr, given->input.data.len},
    };
    if (call.config == NULL) return give_issues(&verdict, failed);
    if (call.trigger == ACTION_TRIGGER_WEBHOOK) keep_webhook(&given->trigger.val.webhook, &call);
    if (call.trigger == ACTION_TRIGGER_SCHEDULE) call.scheduled_at = keep(&given->trigger.val.schedule);
    action_outcome outcome = {0};
    action_failure failure = {0};
    if (!action_exported.execute(&call, &outcome, &failure)) return give_failure(&failure, failed);
    result->output = lend_payload(&outcome.output);
    result->reply = (MODEL(option_webhook_reply)){.is_some = outcome.has_reply};
    if (!outcome.has_reply) return true;
    MODEL(webhook_reply) *reply = &result->reply.val;
    reply->status = outcome.reply_status;
    reply->body.ptr = (uint8_t *)(uintptr_t)outcome.reply.data;
    reply->body.len = outcome.reply.len;
    if (outcome.reply.content_type == NULL) return true;
    reply->headers.ptr = action_alloc(sizeof *reply->headers.ptr);
    reply->headers.len = 1;
    reply->headers.ptr[0].name = lend("content-type");
    reply->headers.ptr[0].value.ptr = (uint8_t *)(uintptr_t)outcome.reply.content_type;
    reply->headers.ptr[0].value.len = strlen(outcome.reply.content_type);
    return true;
}

void action_output(action_outcome *outcome, const char *content_type, const void *data, size_t len) {
    outcome->output = (action_payload){content_type, data, len};
}

void action_output_json(action_outcome *outcome, const action_buffer *json) {
    action_output(outcome, "application/json", json->data, json->len);
}
