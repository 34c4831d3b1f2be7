/* Messages, times and the JSON that they come from, on this machine and under the sanitizers. */
#include "message.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(condition, ...)                 \
    do {                                       \
        if (condition) break;                  \
        printf("line %d: ", __LINE__);         \
        printf(__VA_ARGS__);                   \
        printf("\n");                          \
        failures++;                            \
    } while (0)

static const action_json *parse(const char *text) { return action_json_parse(text, strlen(text), NULL); }

static void json_is_read_strictly(void) {
    static const char *const good[] = {"0", " -1.5e+3 ", "\"\\ud83d\\ude80\\u0000\"", "[]", "{\"a\":[1,{\"b\":null}]}", "true", NULL};
    static const char *const bad[] = {
        "", "01", "1.", "-", "1e", "\"", "\"\\", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\n\"", "\"\xff\"",
        "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "[1,]", "[1", "{\"a\"}", "{\"a\":1,}", "{1:2}", "nul", "1 2", "\\", NULL};
    for (size_t i = 0; good[i] != NULL; i++) EXPECT(parse(good[i]) != NULL, "refused %s", good[i]);
    for (size_t i = 0; bad[i] != NULL; i++) EXPECT(parse(bad[i]) == NULL, "took %s", bad[i]);
    char deep[2 * ACTION_JSON_DEPTH_MAX + 3] = {0};
    memset(deep, '[', ACTION_JSON_DEPTH_MAX + 1);
    memset(deep + ACTION_JSON_DEPTH_MAX + 1, ']', ACTION_JSON_DEPTH_MAX + 1);
    EXPECT(parse(deep) == NULL, "took too deep a nesting");
    deep[2 * ACTION_JSON_DEPTH_MAX + 1] = 0;
    EXPECT(parse(deep + 1) != NULL, "refused the deepest nesting");
    /* Cut anywhere, it is not JSON, and nothing beyond the cut is read. */
    const char *whole = "{\"a\":[1.5e1,\"\\u00e4\\ud83d\\ude80\",true,null]}";
    for (size_t len = 0; len < strlen(whole); len++) {
        char *cut = action_alloc(len);
        memcpy(cut, whole, len);
        EXPECT(action_json_parse(cut, len, NULL) == NULL, "took %.*s", (int)len, whole);
    }
    action_buffer written = {0};
    action_add_json(&written, "\"\\\n\x01\xff\xc3\xa4", 7);
    EXPECT(strcmp(written.data, "\"\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa4\"") == 0, "wrote %s", written.data);
}

static void times_are_read_as_they_are_written(void) {
    struct timespec time;
    EXPECT(syslog_read_time("1970-01-01T00:00:00Z", &time) && time.tv_sec == 0, "the epoch");
    EXPECT(syslog_read_time("2026-11-23T06:08:00.25+01:00", &time) && time.tv_sec == 1795410480, "%lld", (long long)time.tv_sec);
    EXPECT(time.tv_nsec == 250000000, "%ld", time.tv_nsec);
    EXPECT(syslog_read_time("2024-02-29T23:59:59Z", &time), "a leap day");
    static const char *const bad[] = {
        "", "2026-11-23", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+1:00", NULL};
    for (size_t i = 0; bad[i] != NULL; i++) EXPECT(!syslog_read_time(bad[i], &time), "took %s", bad[i]);
}

static void messages_are_those_of_the_standard(void) {
    /* The standard's own example, 6.5, with structured data. */
    syslog_message message = {
        .facility = 20, .severity = 5, .host_name = "mymachine.example.com", .app_name = "evntslog", .message_id = "ID47",
        .structured_data = parse("{\"exampleSDID@32473\":{\"iut\":\"3\",\"eventSource\":\"Application\",\"eventID\":\"1011\"}}"),
        .text = "An application event log entry...", .text_len = 33,
    };
    syslog_read_time("2003-10-11T22:14:15.003Z", &message.time);
    action_buffer bytes = syslog_encode(&message);
    const char *expected = "<165>1 2003-10-11T22:14:15.003000Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" "
                           "eventSource=\"Application\" eventID=\"1011\"] An application event log entry...";
    EXPECT(strcmp(bytes.data, expected) == 0, "%s", bytes.data);
    message = (syslog_message){.text = "\xc3\xa4", .text_len = 2};
    bytes = syslog_encode(&message);
    EXPECT(strcmp(bytes.data, "<0>1 1970-01-01T00:00:00.000000Z - - - - - \xef\xbb\xbf\xc3\xa4") == 0, "%s", bytes.data);
    bytes = syslog_frame(&bytes);
    EXPECT(strncmp(bytes.data, "48 <0>1 ", 8) == 0, "%s", bytes.data);
    const char *why;
    EXPECT(syslog_is_structured_data(parse("{}"), &why), "%s", why);
    static const char *const bad[] = {"[]", "{\"a\":1}", "{\"a b\":{}}", "{\"a\":{\"b]\":\"\"}}", "{\"a\":{\"b\":1}}", "{\"a\":{},\"a\":{}}",
                                      "{\"\":{}}", "{\"a\\u0000\":{}}", NULL};
    for (size_t i = 0; bad[i] != NULL; i++) EXPECT(!syslog_is_structured_data(parse(bad[i]), &why), "took %s", bad[i]);
}

static void fields_and_words_are_bounded(void) {
    EXPECT(syslog_is_field("a", 1) && !syslog_is_field("", 1) && !syslog_is_field("ab", 1) && !syslog_is_field("\x7f", 1), "fields");
    EXPECT(syslog_number(syslog_facilities, "local7") == 23 && syslog_number(syslog_severities, "fatal") == -1, "words");
}

int main(void) {
    json_is_read_strictly();
    times_are_read_as_they_are_written();
    messages_are_those_of_the_standard();
    fields_and_words_are_bounded();
    return failures > 0;
}
