#ifndef GREETING_H
#define GREETING_H

#include "action.h"

/* The output for this input, as JSON. False if the input is not {"name": "…"}. */
bool greet(const char *greeting, const action_payload *input, action_buffer *output);

#endif
