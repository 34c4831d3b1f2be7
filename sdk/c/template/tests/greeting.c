/* `make test` runs this on your own machine, under the address and undefined-behaviour sanitizers. */
#include "greeting.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(const char *input, const char *expected) {
    action_payload payload = {"application/json", (const uint8_t *)input, strlen(input)};
    action_buffer output = {0};
    const char *given = greet("Hello", &payload, &output) ? output.data : "refused";
    if (strcmp(given, expected) != 0) {
        printf("%s: %s, not %s\n", input, given, expected);
        failures++;
    }
}

int main(void) {
    expect("{\"name\": \"Ada\"}", "{\"text\":\"Hello, Ada!\"}");
    expect("{\"name\": \"\\\"\\n\"}", "{\"text\":\"Hello, \\\"\\n!\"}");
    expect("{\"name\": 1}", "refused");
    expect("{\"name\": \"Ada\"", "refused");
    expect("", "refused");
    return failures > 0;
}
