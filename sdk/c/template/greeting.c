/* What the protocol does, apart from the service: so that it can be tested on this machine. */
#include "greeting.h"

#include <string.h>

bool greet(const char *greeting, const action_payload *input, action_buffer *output) {
    const action_json *json = action_json_parse((const char *)input->data, input->len, NULL);
    const char *name = action_json_text(json, "name");
    if (name == NULL) return false;
    const char *text = action_format("%s, %s!", greeting, name);
    action_add_text(output, "{\"text\":");
    action_add_json(output, text, strlen(text));
    action_add_text(output, "}");
    return true;
}
