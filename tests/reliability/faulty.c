/* Makes writing fail: LD_PRELOAD this library. While the file COVALENT_FAULT_FILE exists, every write to, and every
   creation of, a file whose path begins with one of the prefixes in COVALENT_FAULT_PREFIX (separated by colons) fails
   with the number that the file holds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int real_open(const char *path) {
    static int (*call)(const char *, int, ...);
    if (!call) call = dlsym(RTLD_NEXT, "open");
    return call(path, O_RDONLY | O_CLOEXEC);
}

/* The error to give, 0 if none. */
static int wanted(void) {
    const char *path = getenv("COVALENT_FAULT_FILE");
    char text[16];
    if (!path || access(path, F_OK)) return 0;
    int saved = errno, fd = real_open(path);
    if (fd < 0) { errno = saved; return 0; }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    errno = saved;
    if (n <= 0) return 0;
    text[n] = 0;
    return atoi(text);
}

static int matches(const char *path) {
    const char *prefixes = getenv("COVALENT_FAULT_PREFIX");
    while (prefixes && *prefixes) {
        size_t n = strcspn(prefixes, ":");
        if (n && !strncmp(path, prefixes, n)) return 1;
        prefixes += n + (prefixes[n] == ':');
    }
    return 0;
}

static int fails(int fd) {
    char link[64], path[PATH_MAX];
    int error = wanted();
    if (!error) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return matches(path) ? error : 0;
}

#define REAL(type, name, ...) static type (*call)(__VA_ARGS__); if (!call) call = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    int error = fails(fd);
    if (error) { errno = error; return -1; }
    return call(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    int error = fails(fd);
    if (error) { errno = error; return -1; }
    return call(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    int error = fails(fd);
    if (error) { errno = error; return -1; }
    return call(fd, data, size, at);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    int error = fails(fd);
    if (error) { errno = error; return -1; }
    return call(fd);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    int error = fails(fd);
    if (error) { errno = error; return -1; }
    return call(fd);
}

static int creating(const char *path, int flags) {
    return (flags & O_CREAT) && path[0] == '/' && access(path, F_OK) && matches(path) ? wanted() : 0;
}

int open(const char *path, int flags, ...) {
    REAL(int, "open", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    int error = creating(path, flags);
    if (error) { errno = error; return -1; }
    return call(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    int error = creating(path, flags);
    if (error) { errno = error; return -1; }
    return call(path, flags, mode);
}
