/*
 * An RFC 5424 message: its parts, the check of each, and its bytes. Knows no service and no
 * network, so that it is tried natively, under the sanitizers.
 */
#include "message.h"

#include <stdio.h>
#include <string.h>

const char *const syslog_facilities[] = {
    "kern",   "user",   "mail",   "daemon", "auth",   "syslog", "lpr",    "news",   "uucp",
    "cron",   "authpriv", "ftp",  "ntp",    "audit",  "alert",  "clock",  "local0", "local1",
    "local2", "local3", "local4", "local5", "local6", "local7", NULL,
};
const char *const syslog_severities[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", NULL};

/* RFC 5424, 6.3: SD-NAME. */
#define SD_NAME_BYTES_MAX 32

int syslog_number(const char *const *words, const char *word) {
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) return i;
    }
    return -1;
}

bool syslog_is_field(const char *text, size_t len_max) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '!' || text[i] > '~') return false;
    }
    return len >= 1 && len <= len_max;
}

/* ---- structured data ---- */

static bool is_name(const action_json *member) {
    if (memchr(member->name, 0, member->name_len) != NULL) return false;
    return syslog_is_field(member->name, SD_NAME_BYTES_MAX) && strpbrk(member->name, "=]\"") == NULL;
}

static bool is_repeated(const action_json *object, const action_json *member) {
    for (const action_json *other = object->first; other != member; other = other->next) {
        if (other->name_len == member->name_len && memcmp(other->name, member->name, member->name_len) == 0) return true;
    }
    return false;
}

bool syslog_is_structured_data(const action_json *value, const char **why) {
    if (value->kind != ACTION_JSON_OBJECT) return *why = "must be an object of objects", false;
    for (const action_json *element = value->first; element != NULL; element = element->next) {
        if (!is_name(element)) return *why = "has an id that is not 1 to 32 printable ASCII characters without = ] \"", false;
        if (is_repeated(value, element)) return *why = "has an id twice", false;
        if (element->kind != ACTION_JSON_OBJECT) return *why = "must be an object of objects", false;
        for (const action_json *parameter = element->first; parameter != NULL; parameter = parameter->next) {
            if (!is_name(parameter)) {
                return *why = "has a name that is not 1 to 32 printable ASCII characters without = ] \"", false;
            }
            if (parameter->kind != ACTION_JSON_STRING) return *why = "has a value that is not a string", false;
        }
    }
    return true;
}

static void add_structured_data(action_buffer *out, const action_json *data) {
    if (data == NULL || data->first == NULL) {
        action_add_text(out, "-");
        return;
    }
    for (const action_json *element = data->first; element != NULL; element = element->next) {
        action_add_format(out, "[%s", element->name);
        for (const action_json *parameter = element->first; parameter != NULL; parameter = parameter->next) {
            action_add_format(out, " %s=\"", parameter->name);
            for (size_t i = 0; i < parameter->len; i++) {
                if (strchr("\"\\]", parameter->text[i]) != NULL && parameter->text[i] != 0) action_add_text(out, "\\");
                action_add(out, &parameter->text[i], 1);
            }
            action_add_text(out, "\"");
        }
        action_add_text(out, "]");
    }
}

/* ---- time ---- */

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400, year_of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* A number of exactly so many digits, below the limit; -1 if it is none. */
static int64_t digits(const char **at, int count, int64_t limit) {
    int64_t number = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') return -1;
        number = number * 10 + (**at - '0');
    }
    return number < limit ? number : -1;
}

static bool accept(const char **at, char wanted) { return **at == wanted && (++*at, true); }

static int64_t days_in_month(int64_t year, int64_t month) {
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month == 2) return is_leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool syslog_read_time(const char *text, struct timespec *time) {
    const char *at = text;
    int64_t year, month, day, hour, minute, second, offset = 0;
    if ((year = digits(&at, 4, 10000)) < 1 || !accept(&at, '-') || (month = digits(&at, 2, 13)) < 1) return false;
    if (!accept(&at, '-') || (day = digits(&at, 2, 32)) < 1 || day > days_in_month(year, month)) return false;
    if (!accept(&at, 'T') || (hour = digits(&at, 2, 24)) < 0 || !accept(&at, ':')) return false;
    if ((minute = digits(&at, 2, 60)) < 0 || !accept(&at, ':') || (second = digits(&at, 2, 60)) < 0) return false;
    long nanoseconds = 0;
    if (accept(&at, '.')) {
        int count = 0;
        for (; *at >= '0' && *at <= '9'; at++, count++) {
            if (count < 9) nanoseconds = nanoseconds * 10 + (*at - '0');
        }
        if (count == 0) return false;
        for (; count < 9; count++) nanoseconds *= 10;
    }
    if (*at == '+' || *at == '-') {
        int64_t sign = *at++ == '-' ? -1 : 1, hours, minutes;
        if ((hours = digits(&at, 2, 24)) < 0 || !accept(&at, ':') || (minutes = digits(&at, 2, 60)) < 0) return false;
        offset = sign * (hours * 60 + minutes) * 60;
    } else if (!accept(&at, 'Z')) {
        return false;
    }
    if (*at != 0) return false;
    time->tv_sec = (time_t)(days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset);
    time->tv_nsec = nanoseconds;
    return true;
}

/* ---- bytes ---- */

static void add_field(action_buffer *out, const char *field) {
    action_add_format(out, " %s", field != NULL && field[0] != 0 ? field : "-");
}

action_buffer syslog_encode(const syslog_message *message) {
    action_buffer out = {0};
    action_add_format(&out, "<%d>1 ", message->facility * 8 + message->severity);
    const struct tm *utc = gmtime(&message->time.tv_sec);
    if (utc != NULL && utc->tm_year >= -1900 && utc->tm_year < 8100) {
        char date[32];
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", utc);
        action_add_format(&out, "%s.%06ldZ", date, message->time.tv_nsec / 1000);
    } else {
        action_add_text(&out, "-");
    }
    add_field(&out, message->host_name);
    add_field(&out, message->app_name);
    add_field(&out, message->process_id);
    add_field(&out, message->message_id);
    action_add_text(&out, " ");
    add_structured_data(&out, message->structured_data);
    if (message->text_len == 0) return out;
    action_add_text(&out, " ");
    /* A text that is UTF-8 and more than ASCII says so (RFC 5424, 6.4). */
    for (size_t i = 0; i < message->text_len; i++) {
        if ((uint8_t)message->text[i] < 0x80) continue;
        action_add_text(&out, "\xef\xbb\xbf");
        break;
    }
    action_add(&out, message->text, message->text_len);
    return out;
}

action_buffer syslog_frame(const action_buffer *message) {
    action_buffer out = {0};
    action_add_format(&out, "%zu ", message->len);
    action_add(&out, message->data, message->len);
    return out;
}
