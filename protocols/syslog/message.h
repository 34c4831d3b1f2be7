/* An RFC 5424 message: its parts, the check of each, and its bytes. Pure. */
#ifndef SYSLOG_MESSAGE_H
#define SYSLOG_MESSAGE_H

#include "action.h"

#include <time.h>

typedef struct {
    int facility; /* 0 to 23 */
    int severity; /* 0 to 7 */
    struct timespec time;
    const char *host_name; /* Each NULL or empty where none: "-" is sent. */
    const char *app_name;
    const char *process_id;
    const char *message_id;
    const action_json *structured_data; /* {"id": {"name": "value"}}, or NULL. */
    const char *text;                   /* UTF-8. */
    size_t text_len;
} syslog_message;

/* NULL-terminated; the place is the number on the wire. */
extern const char *const syslog_facilities[];
extern const char *const syslog_severities[];

/* The place of a word in such a list, or -1. */
int syslog_number(const char *const *words, const char *word);

/* Whether a header field may be this: printable ASCII without spaces, no longer than that. */
bool syslog_is_field(const char *text, size_t len_max);

/* Whether structured data is of the right shape; else *why says what is wrong. */
bool syslog_is_structured_data(const action_json *value, const char **why);

/* Reads `2026-11-23T05:08:00.123456Z` or with an offset. */
bool syslog_read_time(const char *text, struct timespec *time);

/* The message without framing. Its parts have been checked. */
action_buffer syslog_encode(const syslog_message *message);

/* The same with its length before it (RFC 6587, octet counting; RFC 5425). */
action_buffer syslog_frame(const action_buffer *message);

#endif
