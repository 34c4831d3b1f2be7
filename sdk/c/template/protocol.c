/* The protocol @NAME@: what it is, its config, and the functions that the service calls. */
#include "action.h"
#include "greeting.h"

struct config {
    const char *greeting;
};

static const action_field fields[] = {
    ACTION_FIELD(struct config, greeting, "How to greet.", .fallback = "\"Hello\""),
    {0},
};

static void validate(const void *config, action_verdict *verdict) {
    (void)config;
    verdict->effect = ACTION_EFFECT_READ;
}

static bool test_connection(const void *config, action_report *report, action_failure *failure) {
    (void)config, (void)failure;
    report->summary = "there is nobody to reach";
    return true;
}

static bool execute(const action_call *call, action_outcome *outcome, action_failure *failure) {
    const struct config *config = call->config;
    action_buffer output = {0};
    if (!greet(config->greeting, &call->input, &output)) {
        return action_fail(failure, ACTION_INVALID_INPUT, "the input is not {\"name\": \"…\"}");
    }
    action_log(ACTION_INFO, "greeted");
    action_output_json(outcome, &output);
    return true;
}

static const action_example examples[] = {{"Friendly", "{\"greeting\":\"Guten Tag\"}"}, {0}};

const action_protocol_definition action_exported = {
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "Greets whoever the input names",
    .documentation = "Give it `{\"name\": \"Ada\"}`.",
    .fields = fields,
    .config_size = sizeof(struct config),
    .input_schema = "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":{\"type\":\"string\"}}}",
    .output_schema = "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":\"string\"}}}",
    .examples = examples,
    .validate = validate,
    .test_connection = test_connection,
    .execute = execute,
};
