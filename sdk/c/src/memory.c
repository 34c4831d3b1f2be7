/*
 * Memory that nobody frees, and text made in it.
 *
 * An instance lives for one call of the service, so that a free would only cost time.
 */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *action_alloc(size_t bytes) {
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    /* Ends the call: the service saw the refusal and says `memory_exceeded`. */
    if (memory == NULL) abort();
    return memory;
}

static void make_room(action_buffer *buffer, size_t more) {
    /* One byte beyond for the zero at the end. */
    if (more >= SIZE_MAX / 2 - buffer->len) abort();
    size_t needed = buffer->len + more + 1;
    if (needed <= buffer->capacity) return;
    size_t capacity = needed > 128 ? needed + needed / 2 : 128;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) abort();
    buffer->data = data;
    buffer->capacity = capacity;
}

void action_add(action_buffer *buffer, const void *data, size_t len) {
    make_room(buffer, len);
    if (len > 0) memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = 0;
}

void action_add_text(action_buffer *buffer, const char *text) { action_add(buffer, text, strlen(text)); }

void action_add_list(action_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) abort();
    make_room(buffer, (size_t)len);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, arguments);
    buffer->len += (size_t)len;
}

void action_add_format(action_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    action_add_list(buffer, format, arguments);
    va_end(arguments);
}

char *action_format(const char *format, ...) {
    action_buffer buffer = {0};
    va_list arguments;
    va_start(arguments, format);
    action_add_list(&buffer, format, arguments);
    va_end(arguments);
    return buffer.data;
}
