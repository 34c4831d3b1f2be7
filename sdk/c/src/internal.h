/* What the files of the SDK know of each other; a protocol includes action.h only. */
#ifndef ACTION_INTERNAL_H
#define ACTION_INTERNAL_H

#include "../action.h"

#include <stdarg.h>

/* As action_add_format. */
void action_add_list(action_buffer *buffer, const char *format, va_list arguments);

/* The JSON Schema of a table of fields. */
const char *action_schema(const action_field *fields);

/* Fills the struct from the config's text, with fallbacks where something is absent. Everything
 * that is wrong becomes an issue of the verdict. */
bool action_config_read(const char *text, size_t len, const action_field *fields, void *config,
                        action_verdict *verdict);

#endif
