/*
 * The table of a config's members: its JSON Schema, and the check that fills the struct.
 *
 * Both are read from the same table, so that what the schema says is what the check does. The
 * service holds a config against the schema before the protocol sees it; the check is for
 * whoever asks the protocol alone, and for secrets and fallbacks.
 */
#include "internal.h"

#include <string.h>

static void refuse_list(action_issue **issues, size_t *count, const char *pointer, const char *code,
                        const char *format, va_list arguments) {
    action_buffer message = {0};
    action_add_list(&message, format, arguments);
    action_issue *grown = action_alloc((*count + 1) * sizeof *grown);
    if (*count > 0) memcpy(grown, *issues, *count * sizeof *grown);
    grown[*count] = (action_issue){pointer, code, message.data};
    *issues = grown;
    ++*count;
}

void action_refuse(action_verdict *verdict, const char *pointer, const char *code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    refuse_list(&verdict->issues, &verdict->issue_count, pointer, code, format, arguments);
    va_end(arguments);
}

void action_warn(action_verdict *verdict, const char *pointer, const char *code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    refuse_list(&verdict->warnings, &verdict->warning_count, pointer, code, format, arguments);
    va_end(arguments);
}

/* ---- schema ---- */

static bool is_bounded(const action_field *field) { return field->min != 0 || field->max != 0; }

static void add_field(action_buffer *schema, const action_field *field) {
    static const char *const types[] = {"string", "integer", "number", "boolean", "string", "string"};
    action_add_json(schema, field->name, strlen(field->name));
    action_add_format(schema, ":{\"type\":\"%s\",\"description\":", types[field->kind]);
    action_add_json(schema, field->description, strlen(field->description));
    if (field->kind == ACTION_FIELD_CHOICE) {
        action_add_text(schema, ",\"enum\":[");
        for (size_t i = 0; field->choices[i] != NULL; i++) {
            if (i > 0) action_add_text(schema, ",");
            action_add_json(schema, field->choices[i], strlen(field->choices[i]));
        }
        action_add_text(schema, "]");
    }
    if (field->kind == ACTION_FIELD_SECRET) action_add_text(schema, ",\"writeOnly\":true");
    if (is_bounded(field)) {
        bool is_text = field->kind == ACTION_FIELD_TEXT;
        action_add_format(schema, ",\"%s\":%lld,\"%s\":%lld", is_text ? "minLength" : "minimum", (long long)field->min,
                          is_text ? "maxLength" : "maximum", (long long)field->max);
    }
    if (field->egress != NULL) action_add_format(schema, ",\"x-egress\":\"%s\"", field->egress);
    if (field->fallback != NULL) action_add_format(schema, ",\"default\":%s", field->fallback);
    action_add_text(schema, "}");
}

const char *action_schema(const action_field *fields) {
    action_buffer schema = {0};
    action_add_text(&schema, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
                             "\"additionalProperties\":false,\"properties\":{");
    for (const action_field *field = fields; field->name != NULL; field++) {
        if (field != fields) action_add_text(&schema, ",");
        add_field(&schema, field);
    }
    action_add_text(&schema, "},\"required\":[");
    const char *separator = "";
    for (const action_field *field = fields; field->name != NULL; field++) {
        if (!field->required) continue;
        action_add_text(&schema, separator);
        action_add_json(&schema, field->name, strlen(field->name));
        separator = ",";
    }
    action_add_text(&schema, "]}");
    return schema.data;
}

/* ---- check ---- */

/* A JSON Pointer to a member, with its name escaped. */
static const char *pointer_to(const char *name, size_t len) {
    action_buffer pointer = {0};
    action_add_text(&pointer, "/");
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '~') action_add_text(&pointer, "~0");
        else if (name[i] == '/') action_add_text(&pointer, "~1");
        else action_add(&pointer, &name[i], 1);
    }
    return pointer.data;
}

static void read_text(const action_field *field, const action_json *value, void *member, action_verdict *verdict) {
    const char *pointer = pointer_to(field->name, strlen(field->name));
    if (value->kind != ACTION_JSON_STRING) {
        action_refuse(verdict, pointer, "type", "must be a string");
    } else if (memchr(value->text, 0, value->len) != NULL) {
        action_refuse(verdict, pointer, "zero_byte", "must not hold a zero character");
    } else if (field->kind == ACTION_FIELD_CHOICE) {
        for (int i = 0; field->choices[i] != NULL; i++) {
            if (strcmp(field->choices[i], value->text) != 0) continue;
            memcpy(member, &i, sizeof i);
            return;
        }
        action_refuse(verdict, pointer, "enum", "is not one of the choices");
    } else {
        /* Characters, as JSON Schema counts them: bytes that do not go on a sequence. */
        size_t characters = 0;
        for (size_t i = 0; i < value->len; i++) characters += (value->text[i] & 0xc0) != 0x80;
        bool fits = !is_bounded(field) || ((int64_t)characters >= field->min && (int64_t)characters <= field->max);
        if (!fits) {
            action_refuse(verdict, pointer, "length", "must have %lld to %lld characters", (long long)field->min,
                          (long long)field->max);
        }
        /* A secret's struct is its one member, the handle. */
        memcpy(member, &value->text, sizeof value->text);
    }
}

static void read_number(const action_field *field, const action_json *value, void *member, action_verdict *verdict) {
    const char *pointer = pointer_to(field->name, strlen(field->name));
    bool is_integer = field->kind == ACTION_FIELD_INTEGER;
    if (value->kind != ACTION_JSON_NUMBER) {
        action_refuse(verdict, pointer, "type", "must be %s", is_integer ? "an integer" : "a number");
        return;
    }
    if (is_bounded(field) && (value->number < (double)field->min || value->number > (double)field->max)) {
        action_refuse(verdict, pointer, "range", "must be %lld to %lld", (long long)field->min, (long long)field->max);
        return;
    }
    if (!is_integer) {
        memcpy(member, &value->number, sizeof value->number);
        return;
    }
    /* What a double holds exactly; also keeps the conversion defined. */
    bool is_exact = value->number >= -9007199254740991.0 && value->number <= 9007199254740991.0;
    int64_t integer = is_exact ? (int64_t)value->number : 0;
    if (!is_exact || (double)integer != value->number) {
        action_refuse(verdict, pointer, "type", "must be an integer");
        return;
    }
    memcpy(member, &integer, sizeof integer);
}

static void read_field(const action_field *field, const action_json *value, void *config, action_verdict *verdict) {
    char *member = (char *)config + field->offset;
    switch (field->kind) {
    case ACTION_FIELD_TEXT:
    case ACTION_FIELD_CHOICE:
    case ACTION_FIELD_SECRET: read_text(field, value, member, verdict); break;
    case ACTION_FIELD_INTEGER:
    case ACTION_FIELD_NUMBER: read_number(field, value, member, verdict); break;
    case ACTION_FIELD_BOOLEAN:
        if (value->kind == ACTION_JSON_BOOLEAN) {
            memcpy(member, &value->boolean, sizeof value->boolean);
        } else {
            action_refuse(verdict, pointer_to(field->name, strlen(field->name)), "type", "must be true or false");
        }
    }
}

static bool is_known(const action_json *member, const action_field *fields) {
    for (const action_field *field = fields; field->name != NULL; field++) {
        if (strlen(field->name) == member->name_len && memcmp(field->name, member->name, member->name_len) == 0) {
            return true;
        }
    }
    return false;
}

bool action_config_read(const char *text, size_t len, const action_field *fields, void *config,
                        action_verdict *verdict) {
    const char *error = NULL;
    const action_json *document = action_json_parse(text, len, &error);
    if (document == NULL) {
        action_refuse(verdict, "", "json", "is not JSON: %s", error);
        return false;
    }
    if (document->kind != ACTION_JSON_OBJECT) {
        action_refuse(verdict, "", "type", "must be an object");
        return false;
    }
    for (const action_json *member = document->first; member != NULL; member = member->next) {
        if (is_known(member, fields)) continue;
        action_refuse(verdict, pointer_to(member->name, member->name_len), "unknown", "is not a property of this config");
    }
    for (const action_field *field = fields; field->name != NULL; field++) {
        const action_json *value = action_json_get(document, field->name);
        if (value == NULL && field->required) {
            action_refuse(verdict, pointer_to(field->name, strlen(field->name)), "required", "is missing");
        } else if (value == NULL && field->fallback != NULL) {
            value = action_json_parse(field->fallback, strlen(field->fallback), NULL);
        }
        if (value != NULL) read_field(field, value, config, verdict);
    }
    return verdict->issue_count == 0;
}
