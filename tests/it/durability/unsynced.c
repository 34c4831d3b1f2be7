/* Preloaded into the service: keeps, beside each database file, a copy that has only what was
 * synced. After kill -9 the test puts the copies in place of the files: that is what a loss of
 * power leaves, where kill -9 alone leaves the page cache.
 *
 * A write is remembered until fsync or fdatasync of its file, which applies it to the copy. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FDS 4096
struct pending { off_t at; size_t len; struct pending *next; char data[]; };
/* One a file, shared by all of its descriptors. `cut` is a truncation not yet synced. */
struct file { char path[512]; int copy; int fds; struct pending *first, **last; struct file *next; };
static struct file *files, *of[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int tracked(const char *path) {
    const char *ends[] = {".db", ".db-wal", ".db-journal"};
    size_t n = strlen(path);
    for (int i = 0; i < 3; i++) {
        size_t e = strlen(ends[i]);
        if (n > e && !strcmp(path + n - e, ends[i])) return 1;
    }
    return 0;
}

static void copy_all(int from, int to) {
    static char buffer[1 << 16];
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, buffer, sizeof buffer, at)) > 0) {
        if (REAL(pwrite)(to, buffer, got, at) != got) abort();
        at += got;
    }
}

static void opened(const char *path, int fd) {
    if (fd < 0 || fd >= FDS || !tracked(path)) return;
    char full[512];
    if (!realpath(path, full)) return;
    pthread_mutex_lock(&lock);
    struct file *f = files;
    while (f && strcmp(f->path, full)) f = f->next;
    if (!f) {
        f = calloc(1, sizeof *f);
        strcpy(f->path, full);
        f->last = &f->first;
        char name[600];
        snprintf(name, sizeof name, "%s.synced", full);
        f->copy = REAL(open)(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (f->copy < 0) abort();
        int from = REAL(open)(full, O_RDONLY);
        if (from >= 0) { copy_all(from, f->copy); REAL(close)(from); }
        f->next = files;
        files = f;
    }
    f->fds++;
    of[fd] = f;
    pthread_mutex_unlock(&lock);
}

static void remember(int fd, const void *data, ssize_t len, off_t at) {
    if (fd < 0 || fd >= FDS || !of[fd] || len < 0) return;
    pthread_mutex_lock(&lock);
    struct file *f = of[fd];
    if (f) {
        struct pending *p = malloc(sizeof *p + len);
        p->at = at; p->len = len; p->next = NULL;
        if (data) memcpy(p->data, data, len);
        *f->last = p;
        f->last = &p->next;
    }
    pthread_mutex_unlock(&lock);
}

static void synced(int fd) {
    if (fd < 0 || fd >= FDS || !of[fd]) return;
    pthread_mutex_lock(&lock);
    struct file *f = of[fd];
    for (struct pending *p = f ? f->first : NULL; p;) {
        struct pending *next = p->next;
        if (p->len == 0) { if (REAL(ftruncate)(f->copy, p->at)) abort(); }
        else if (REAL(pwrite)(f->copy, p->data, p->len, p->at) != (ssize_t)p->len) abort();
        free(p);
        p = next;
    }
    if (f) { f->first = NULL; f->last = &f->first; }
    pthread_mutex_unlock(&lock);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        int fd = REAL(name)(path, flags, mode); \
        opened(path, fd); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS) of[fd] = NULL;
    pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}
ssize_t write(int fd, const void *data, size_t len) {
    off_t at = fd >= 0 && fd < FDS && of[fd] ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = REAL(write)(fd, data, len);
    remember(fd, data, done, at);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    ssize_t done = REAL(pwrite)(fd, data, len, at);
    remember(fd, data, done, at);
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
    ssize_t done = REAL(pwrite64)(fd, data, len, at);
    remember(fd, data, done, at);
    return done;
}
int ftruncate(int fd, off_t len) {
    int done = REAL(ftruncate)(fd, len);
    if (!done) remember(fd, NULL, 0, len);
    return done;
}
int ftruncate64(int fd, off64_t len) {
    int done = REAL(ftruncate64)(fd, len);
    if (!done) remember(fd, NULL, 0, len);
    return done;
}
int fsync(int fd) {
    int done = REAL(fsync)(fd);
    if (!done) synced(fd);
    return done;
}
int fdatasync(int fd) {
    int done = REAL(fdatasync)(fd);
    if (!done) synced(fd);
    return done;
}
