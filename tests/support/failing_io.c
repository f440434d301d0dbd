/* Makes the n-th call that touches files under one folder fail: loaded by LD_PRELOAD, driven by failing_io_arm.

   What counts, in `writing` mode: opening to write, writing, syncing, closing a file that is open for writing,
   truncating, renaming, linking, making folders. In reading mode: opening to read, reading, mapping. A folder's
   fsync counts as syncing. Calls through stdio (fopen, fwrite, fflush, fclose) are watched by themselves, since
   the library's own calls inside it cannot be seen.

   With DIE in place of an error the process is killed before that call; of a write, half is written. Removing counts,
   too, then. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DIE = -1 };

static char folder[PATH_MAX];
static size_t length;
static atomic_long calls;
static long failing = -1;
static int code, lasting, reading;
static char what[128];

/* The n-th call from now on fails with `error`, and with `forever` those after it, too; n = 0 only counts. */
void failing_io_arm(const char *under, long n, int error, int forever, int of_reading) {
    snprintf(folder, sizeof folder, "%s", under);
    length = strlen(folder);
    code = error;
    lasting = forever;
    reading = of_reading;
    what[0] = 0;
    atomic_store(&calls, 0);
    failing = n;
}

/* Ends it; returns how many calls there were. */
long failing_io_disarm(void) {
    failing = -1;
    return atomic_load(&calls);
}

/* Which call failed first. */
const char *failing_io_what(void) { return what; }

static int under(const char *path) {
    return path && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int inside(int at, const char *path) {
    char whole[2 * PATH_MAX], link[64];
    if (failing < 0 || !path) return 0;
    if (path[0] == '/') return under(path);
    if (at == AT_FDCWD) {
        if (!getcwd(whole, PATH_MAX)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t got = readlink(link, whole, PATH_MAX - 1);
        if (got < 0) return 0;
        whole[got] = 0;
    }
    strcat(whole, "/");
    strncat(whole, path, PATH_MAX - 1);
    return under(whole);
}

static int open_inside(int file) {
    char path[PATH_MAX], link[64];
    if (failing < 0) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t got = readlink(link, path, sizeof path - 1);
    errno = before;
    if (got < 0) return 0;
    path[got] = 0;
    return under(path);
}

static int writable(int file) {
    int flags = fcntl(file, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* Counts a call; whether it is to fail. */
static int fails(const char *name) {
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (failing <= 0 || (lasting ? number < failing : number != failing)) return 0;
    if (code == DIE) kill(getpid(), SIGKILL);
    if (!what[0]) snprintf(what, sizeof what, "%s", name);
    errno = code;
    return 1;
}

#define NEXT(type, name, ...) \
    static type (*next)(__VA_ARGS__); \
    if (!next) next = dlsym(RTLD_NEXT, name)
#define WRITES(condition, name, failure) if (failing >= 0 && !reading && (condition) && fails(name)) return failure
#define DIES(condition, name) if (failing >= 0 && code == DIE && (condition)) fails(name)
#define READS(condition, name, failure) if (failing >= 0 && reading && (condition) && fails(name)) return failure

static int opens_to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        NEXT(int, #symbol, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        WRITES(opens_to_write(flags) && inside(AT_FDCWD, path), "open", -1); \
        READS(!opens_to_write(flags) && inside(AT_FDCWD, path), "open", -1); \
        return next(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
    int symbol(int at, const char *path, int flags, ...) { \
        NEXT(int, #symbol, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        WRITES(opens_to_write(flags) && inside(at, path), "openat", -1); \
        READS(!opens_to_write(flags) && inside(at, path), "openat", -1); \
        return next(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(symbol) \
    FILE *symbol(const char *path, const char *mode) { \
        NEXT(FILE *, #symbol, const char *, const char *); \
        int writes = mode[0] != 'r' || strchr(mode, '+'); \
        WRITES(writes && inside(AT_FDCWD, path), "fopen", NULL); \
        READS(!writes && inside(AT_FDCWD, path), "fopen", NULL); \
        return next(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    NEXT(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    WRITES(open_inside(fileno(file)), "fwrite", 0);
    return next(data, size, count, file);
}

int fflush(FILE *file) {
    NEXT(int, "fflush", FILE *);
    WRITES(file && open_inside(fileno(file)) && writable(fileno(file)), "fflush", EOF);
    return next(file);
}

int fclose(FILE *file) {
    NEXT(int, "fclose", FILE *);
    int counted = failing >= 0 && !reading && open_inside(fileno(file)) && writable(fileno(file)) && fails("fclose");
    int done = next(file);
    if (counted) {
        errno = code;
        return EOF;
    }
    return done;
}

size_t fread(void *data, size_t size, size_t count, FILE *file) {
    NEXT(size_t, "fread", void *, size_t, size_t, FILE *);
    READS(open_inside(fileno(file)), "fread", 0);
    return next(data, size, count, file);
}

ssize_t write(int file, const void *data, size_t size) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    if (failing > 0 && code == DIE && open_inside(file) && atomic_load(&calls) + 1 == failing) next(file, data, size / 2);
    WRITES(open_inside(file), "write", -1);
    return next(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    NEXT(ssize_t, "writev", int, const struct iovec *, int);
    WRITES(open_inside(file), "writev", -1);
    return next(file, parts, count);
}

#define PWRITE(symbol) \
    ssize_t symbol(int file, const void *data, size_t size, off_t offset) { \
        NEXT(ssize_t, #symbol, int, const void *, size_t, off_t); \
        WRITES(open_inside(file), "pwrite", -1); \
        return next(file, data, size, offset); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SENDFILE(symbol) \
    ssize_t symbol(int to, int from, off_t *offset, size_t count) { \
        NEXT(ssize_t, #symbol, int, int, off_t *, size_t); \
        WRITES(open_inside(to), "sendfile", -1); \
        READS(open_inside(from), "sendfile", -1); \
        return next(to, from, offset, count); \
    }
SENDFILE(sendfile)
SENDFILE(sendfile64)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count, unsigned int flags) {
    NEXT(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned int);
    WRITES(open_inside(to), "copy_file_range", -1);
    READS(open_inside(from), "copy_file_range", -1);
    return next(from, from_at, to, to_at, count, flags);
}

ssize_t read(int file, void *data, size_t size) {
    NEXT(ssize_t, "read", int, void *, size_t);
    READS(open_inside(file), "read", -1);
    return next(file, data, size);
}

#define PREAD(symbol) \
    ssize_t symbol(int file, void *data, size_t size, off_t offset) { \
        NEXT(ssize_t, #symbol, int, void *, size_t, off_t); \
        READS(open_inside(file), "pread", -1); \
        return next(file, data, size, offset); \
    }
PREAD(pread)
PREAD(pread64)

#define MAP(symbol) \
    void *symbol(void *place, size_t size, int rights, int flags, int file, off_t offset) { \
        NEXT(void *, #symbol, void *, size_t, int, int, int, off_t); \
        READS(file >= 0 && open_inside(file), "mmap", MAP_FAILED); \
        return next(place, size, rights, flags, file, offset); \
    }
MAP(mmap)
MAP(mmap64)

DIR *opendir(const char *path) {
    NEXT(DIR *, "opendir", const char *);
    READS(inside(AT_FDCWD, path), "opendir", NULL);
    return next(path);
}

#define STAT(symbol, kind) \
    int symbol(const char *path, struct kind *found) { \
        NEXT(int, #symbol, const char *, struct kind *); \
        READS(inside(AT_FDCWD, path), "stat", -1); \
        return next(path, found); \
    }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

#define ON_FILE(symbol) \
    int symbol(int file) { \
        NEXT(int, #symbol, int); \
        WRITES(open_inside(file), #symbol, -1); \
        return next(file); \
    }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define TRUNCATE(symbol) \
    int symbol(int file, off_t size) { \
        NEXT(int, #symbol, int, off_t); \
        WRITES(open_inside(file), "ftruncate", -1); \
        return next(file, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* The file is closed in any case, as Linux does it. */
int close(int file) {
    NEXT(int, "close", int);
    int counted = failing >= 0 && !reading && open_inside(file) && writable(file) && fails("close");
    int done = next(file);
    if (counted) {
        errno = code;
        return -1;
    }
    return done;
}

int rename(const char *from, const char *to) {
    NEXT(int, "rename", const char *, const char *);
    WRITES(inside(AT_FDCWD, to), "rename", -1);
    return next(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    NEXT(int, "renameat", int, const char *, int, const char *);
    WRITES(inside(to_at, to), "renameat", -1);
    return next(from_at, from, to_at, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags) {
    NEXT(int, "renameat2", int, const char *, int, const char *, unsigned int);
    WRITES(inside(to_at, to), "renameat2", -1);
    return next(from_at, from, to_at, to, flags);
}

int link(const char *from, const char *to) {
    NEXT(int, "link", const char *, const char *);
    WRITES(inside(AT_FDCWD, to), "link", -1);
    return next(from, to);
}

int symlink(const char *from, const char *to) {
    NEXT(int, "symlink", const char *, const char *);
    WRITES(inside(AT_FDCWD, to), "symlink", -1);
    return next(from, to);
}

int mkdir(const char *path, mode_t mode) {
    NEXT(int, "mkdir", const char *, mode_t);
    WRITES(inside(AT_FDCWD, path), "mkdir", -1);
    return next(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    NEXT(int, "mkdirat", int, const char *, mode_t);
    WRITES(inside(at, path), "mkdirat", -1);
    return next(at, path, mode);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    NEXT(int, "linkat", int, const char *, int, const char *, int);
    WRITES(inside(to_at, to), "linkat", -1);
    return next(from_at, from, to_at, to, flags);
}

int unlink(const char *path) {
    NEXT(int, "unlink", const char *);
    DIES(inside(AT_FDCWD, path), "unlink");
    return next(path);
}

int unlinkat(int at, const char *path, int flags) {
    NEXT(int, "unlinkat", int, const char *, int);
    DIES(inside(at, path), "unlinkat");
    return next(at, path, flags);
}

int rmdir(const char *path) {
    NEXT(int, "rmdir", const char *);
    DIES(inside(AT_FDCWD, path), "rmdir");
    return next(path);
}
