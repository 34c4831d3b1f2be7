/* Shows a process a wall clock that is wrong by WRONG_SECONDS. Its other clocks are right. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*right)(clockid_t, struct timespec *);
    static long wrong;
    if (!right) {
        const char *seconds = getenv("WRONG_SECONDS");
        wrong = seconds ? atol(seconds) : 0;
        right = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = right(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += wrong;
    return result;
}
