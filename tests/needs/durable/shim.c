/* Loaded into the real binary (LD_PRELOAD) by the tests of durability. Counts every operation that changes files below
 * DURABLE_ROOT, in the order in which the process makes them, and
 *   DURABLE_KILL_AT=N   ends the process with SIGKILL instead of operation N (from 0);
 *   DURABLE_STOP_AT=N   stops it with SIGSTOP before operation N, until somebody continues it;
 *   DURABLE_LOG=FILE    appends what was done, with the bytes that were written, for the simulation of a power cut.
 * A record of the log is one line of fields separated by tabs, then the bytes where the line says how many:
 *   create PATH | truncate PATH LENGTH | write PATH OFFSET COUNT | sync PATH | rename FROM TO | unlink PATH |
 *   mkdir PATH | rmdir PATH */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static long done = 0;
static int log_fd = -2;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *root(void) { return getenv("DURABLE_ROOT"); }

static int below(const char *path) {
    const char *r = root();
    size_t n = r ? strlen(r) : 0;
    return n && !strncmp(path, r, n) && (path[n] == '/' || path[n] == 0);
}

/* The absolute path of a name below a folder's descriptor; 0 where it is none of ours. */
static int resolve(int dir, const char *name, char *into) {
    if (name[0] == '/') {
        snprintf(into, PATH_MAX, "%s", name);
    } else {
        char link[64], base[PATH_MAX];
        if (dir == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (strlen(base) + strlen(name) + 2 > PATH_MAX) return 0;
        sprintf(into, "%s/%s", base, name);
    }
    return below(into);
}

static int of_fd(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, into, PATH_MAX - 1);
    if (n < 0) return 0;
    into[n] = 0;
    return below(into);
}

/* Called with the order held, before an operation. */
static void step(void) {
    const char *kill_at = getenv("DURABLE_KILL_AT"), *stop_at = getenv("DURABLE_STOP_AT");
    if (kill_at && atol(kill_at) == done) kill(getpid(), SIGKILL);
    if (stop_at && atol(stop_at) == done) kill(getpid(), SIGSTOP);
    done++;
}

static void note(const void *bytes, size_t count, const char *format, ...) {
    const char *file = getenv("DURABLE_LOG");
    if (!file) return;
    if (log_fd == -2) log_fd = REAL(open64)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[3 * PATH_MAX];
    va_list rest;
    va_start(rest, format);
    int n = vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    if (REAL(write)(log_fd, line, n) != n) abort();
    if (count && REAL(write)(log_fd, bytes, count) != (ssize_t)count) abort();
}

static int opened(int dir, const char *name, int flags, mode_t mode, int is_at) {
    char path[PATH_MAX];
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    int ours = writes && (flags & (O_CREAT | O_TRUNC)) && resolve(dir, name, path);
    struct stat known;
    int is_new = 0, cuts = 0;
    if (ours) {
        is_new = stat(path, &known) != 0;
        cuts = !is_new && (flags & O_TRUNC) && known.st_size > 0;
        if (is_new || cuts) {
            pthread_mutex_lock(&order);
            step();
        }
    }
    int fd = is_at ? REAL(openat64)(dir, name, flags, mode) : REAL(open64)(name, flags, mode);
    if (ours && (is_new || cuts)) {
        int error = errno;
        if (fd >= 0 && is_new) note(NULL, 0, "create\t%s\n", path);
        if (fd >= 0 && cuts) note(NULL, 0, "truncate\t%s\t0\n", path);
        pthread_mutex_unlock(&order);
        errno = error;
    }
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); }

int open64(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode, 0); }
int open(const char *name, int flags, ...) { MODE(flags) return opened(AT_FDCWD, name, flags, mode, 0); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode, 1); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags) return opened(dir, name, flags, mode, 1); }

ssize_t write(int fd, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (fd <= 2 || fd == log_fd || !of_fd(fd, path)) return REAL(write)(fd, bytes, count);
    pthread_mutex_lock(&order);
    step();
    off_t at = (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t n = REAL(write)(fd, bytes, count);
    int error = errno;
    if (n > 0) note(bytes, n, "write\t%s\t%lld\t%zd\n", path, (long long)at, n);
    pthread_mutex_unlock(&order);
    errno = error;
    return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (fd <= 2 || !of_fd(fd, path)) return REAL(writev)(fd, parts, count);
    /* A short count is allowed, and the caller writes the rest. */
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

/* Operations on one path: made, then noted down. */
#define ON_PATH(dir, name, call, ...)                      \
    char path[PATH_MAX];                                   \
    if (!resolve(dir, name, path)) return call;            \
    pthread_mutex_lock(&order);                            \
    step();                                                \
    int result = call, error = errno;                      \
    if (result == 0) note(NULL, 0, __VA_ARGS__);           \
    pthread_mutex_unlock(&order);                          \
    errno = error;                                         \
    return result;

int unlink(const char *name) { ON_PATH(AT_FDCWD, name, REAL(unlink)(name), "unlink\t%s\n", path) }
int rmdir(const char *name) { ON_PATH(AT_FDCWD, name, REAL(rmdir)(name), "rmdir\t%s\n", path) }
int mkdir(const char *name, mode_t mode) {
    ON_PATH(AT_FDCWD, name, REAL(mkdir)(name, mode), "mkdir\t%s\n", path)
}
int unlinkat(int dir, const char *name, int flags) {
    ON_PATH(dir, name, REAL(unlinkat)(dir, name, flags), flags & AT_REMOVEDIR ? "rmdir\t%s\n" : "unlink\t%s\n", path)
}

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char a[PATH_MAX], b[PATH_MAX];
    int ours = resolve(from_dir, from, a) | resolve(to_dir, to, b);
    if (!ours) return REAL(renameat2)(from_dir, from, to_dir, to, flags);
    pthread_mutex_lock(&order);
    step();
    int result = REAL(renameat2)(from_dir, from, to_dir, to, flags), error = errno;
    if (result == 0) note(NULL, 0, flags & RENAME_EXCHANGE ? "exchange\t%s\t%s\n" : "rename\t%s\t%s\n", a, b);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return renamed(a, from, b, to, flags); }

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) return real(fd);
    pthread_mutex_lock(&order);
    step();
    int result = real(fd), error = errno;
    if (result == 0) note(NULL, 0, "sync\t%s\n", path);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) return REAL(ftruncate64)(fd, length);
    pthread_mutex_lock(&order);
    step();
    int result = REAL(ftruncate64)(fd, length), error = errno;
    if (result == 0) note(NULL, 0, "truncate\t%s\t%lld\n", path, (long long)length);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
