/*
 * JSON: a strict reader (RFC 8259) and the escaping of strings.
 *
 * Knows nothing of the service, so that it is tried natively, under the sanitizers.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *text;
    size_t len;
    size_t at;
    unsigned depth;
    const char *error;
} reader;

static bool give_up(reader *r, const char *why) {
    if (r->error == NULL) r->error = action_format("%s at byte %zu", why, r->at);
    return false;
}

/* The byte here, or -1 at the end. */
static int peek(const reader *r) { return r->at < r->len ? r->text[r->at] : -1; }

static void skip_space(reader *r) {
    while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) != NULL && r->text[r->at] != 0) r->at++;
}

/* How many bytes the UTF-8 sequence at the front has; 0 if it is none. Overlong forms, surrogates
 * and what lies above U+10FFFF are none. */
static size_t utf8_sequence(const uint8_t *s, size_t len) {
    static const struct {
        uint8_t first_min, first_max, second_min, second_max, bytes;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (len == 0 || s[0] < forms[i].first_min || s[0] > forms[i].first_max) continue;
        if (len < forms[i].bytes) return 0;
        if (forms[i].bytes > 1 && (s[1] < forms[i].second_min || s[1] > forms[i].second_max)) return 0;
        for (size_t j = 2; j < forms[i].bytes; j++) {
            if ((s[j] & 0xc0) != 0x80) return 0;
        }
        return forms[i].bytes;
    }
    return 0;
}

bool action_is_utf8(const void *data, size_t len) {
    const uint8_t *at = data;
    while (len > 0) {
        size_t bytes = utf8_sequence(at, len);
        if (bytes == 0) return false;
        at += bytes;
        len -= bytes;
    }
    return true;
}

/* Four hexadecimal digits. */
static bool read_hex(reader *r, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int c = peek(r);
        uint32_t digit;
        if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f') digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F') digit = (uint32_t)(c - 'A') + 10;
        else return give_up(r, "four hexadecimal digits were expected");
        *unit = *unit * 16 + digit;
    }
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f)), out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f)), out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* What stands behind a backslash. Writes at most three bytes for each two read, and four for each
 * twelve, so that what was read bounds what is written. */
static bool read_escape(reader *r, char *out, size_t *len) {
    int c = peek(r);
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *known = c > 0 ? strchr(names, c) : NULL;
    if (known != NULL) {
        r->at++;
        out[(*len)++] = values[known - names];
        return true;
    }
    if (c != 'u') return give_up(r, "an unknown escape");
    r->at++;
    uint32_t unit, low;
    if (!read_hex(r, &unit)) return false;
    if (unit >= 0xdc00 && unit <= 0xdfff) return give_up(r, "half a surrogate pair");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (peek(r) != '\\' || r->at + 1 >= r->len || r->text[r->at + 1] != 'u') return give_up(r, "half a surrogate pair");
        r->at += 2;
        if (!read_hex(r, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return give_up(r, "half a surrogate pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    *len += put_utf8(out + *len, unit);
    return true;
}

static bool read_string(reader *r, const char **text, size_t *len) {
    r->at++;
    size_t end = r->at;
    while (end < r->len && r->text[end] != '"') end += r->text[end] == '\\' ? 2 : 1;
    if (end >= r->len) return r->at = r->len, give_up(r, "a string without an end");
    /* An escape is never shorter than what it stands for. */
    char *out = action_alloc(end - r->at + 1);
    size_t written = 0;
    while (r->at < end) {
        if (r->text[r->at] == '\\') {
            r->at++;
            if (!read_escape(r, out, &written)) return false;
            continue;
        }
        if (r->text[r->at] < 0x20) return give_up(r, "a control character in a string");
        size_t bytes = utf8_sequence(r->text + r->at, end - r->at);
        if (bytes == 0) return give_up(r, "bytes that are not UTF-8");
        memcpy(out + written, r->text + r->at, bytes);
        written += bytes;
        r->at += bytes;
    }
    r->at++;
    *text = out;
    *len = written;
    return true;
}

static bool read_digits(reader *r) {
    size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at > start ? true : give_up(r, "a digit was expected");
}

static bool read_number(reader *r, action_json *value) {
    size_t start = r->at;
    if (peek(r) == '-') r->at++;
    if (peek(r) == '0') r->at++;
    else if (!read_digits(r)) return false;
    if (peek(r) == '.' && (r->at++, !read_digits(r))) return false;
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (!read_digits(r)) return false;
    }
    value->kind = ACTION_JSON_NUMBER;
    value->len = r->at - start;
    char *copy = action_alloc(value->len + 1);
    memcpy(copy, r->text + start, value->len);
    value->text = copy;
    value->number = strtod(copy, NULL);
    return true;
}

static bool read_word(reader *r, const char *word) {
    size_t len = strlen(word);
    if (r->len - r->at < len || memcmp(r->text + r->at, word, len) != 0) return give_up(r, "no JSON value");
    r->at += len;
    return true;
}

static bool read_value(reader *r, action_json *value);

static bool read_members(reader *r, action_json *parent) {
    bool is_object = parent->kind == ACTION_JSON_OBJECT;
    char end = is_object ? '}' : ']';
    if (++r->depth > ACTION_JSON_DEPTH_MAX) return give_up(r, "too deeply nested");
    r->at++;
    skip_space(r);
    action_json **next = &parent->first;
    if (peek(r) == end) return r->at++, r->depth--, true;
    for (;;) {
        action_json *member = *next = action_alloc(sizeof *member);
        next = &member->next;
        skip_space(r);
        if (is_object) {
            if (peek(r) != '"') return give_up(r, "a member's name was expected");
            if (!read_string(r, &member->name, &member->name_len)) return false;
            skip_space(r);
            if (peek(r) != ':') return give_up(r, "a colon was expected");
            r->at++;
            skip_space(r);
        }
        if (!read_value(r, member)) return false;
        skip_space(r);
        int c = peek(r);
        if (c != ',' && c != end) return give_up(r, "a comma or the end was expected");
        r->at++;
        if (c == end) return r->depth--, true;
    }
}

static bool read_value(reader *r, action_json *value) {
    switch (peek(r)) {
    case '{': return value->kind = ACTION_JSON_OBJECT, read_members(r, value);
    case '[': return value->kind = ACTION_JSON_ARRAY, read_members(r, value);
    case '"': return value->kind = ACTION_JSON_STRING, read_string(r, &value->text, &value->len);
    case 't': return value->kind = ACTION_JSON_BOOLEAN, value->boolean = true, read_word(r, "true");
    case 'f': return value->kind = ACTION_JSON_BOOLEAN, read_word(r, "false");
    case 'n': return read_word(r, "null");
    default: return read_number(r, value);
    }
}

const action_json *action_json_parse(const char *text, size_t len, const char **error) {
    reader r = {.text = (const uint8_t *)text, .len = len};
    action_json *value = action_alloc(sizeof *value);
    skip_space(&r);
    bool read = r.at < r.len ? read_value(&r, value) : give_up(&r, "nothing");
    skip_space(&r);
    if (read && r.at < r.len) read = give_up(&r, "something behind the value");
    if (!read && error != NULL) *error = r.error;
    return read ? value : NULL;
}

const action_json *action_json_get(const action_json *object, const char *name) {
    const action_json *found = NULL;
    if (object == NULL || object->kind != ACTION_JSON_OBJECT) return NULL;
    size_t len = strlen(name);
    for (const action_json *member = object->first; member != NULL; member = member->next) {
        if (member->name_len == len && memcmp(member->name, name, len) == 0) found = member;
    }
    return found;
}

const char *action_json_text(const action_json *object, const char *name) {
    const action_json *member = action_json_get(object, name);
    bool is_text = member != NULL && member->kind == ACTION_JSON_STRING && strlen(member->text) == member->len;
    return is_text ? member->text : NULL;
}

void action_add_json(action_buffer *buffer, const char *text, size_t len) {
    const uint8_t *at = (const uint8_t *)text;
    action_add(buffer, "\"", 1);
    while (len > 0) {
        size_t bytes = utf8_sequence(at, len);
        if (bytes == 0) action_add_text(buffer, "\xef\xbf\xbd"), bytes = 1;
        else if (at[0] == '"' || at[0] == '\\') action_add_format(buffer, "\\%c", at[0]);
        else if (at[0] == '\n') action_add_text(buffer, "\\n");
        else if (at[0] < 0x20 || at[0] == 0x7f) action_add_format(buffer, "\\u%04x", at[0]);
        else action_add(buffer, at, bytes);
        at += bytes;
        len -= bytes;
    }
    action_add(buffer, "\"", 1);
}
