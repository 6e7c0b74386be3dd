/* A disk that fails as ordered, for LD_PRELOAD: see tests/support/faulty_disk.py.
 *
 * FAULTY_DISK names a file that is mapped into memory: an order of three 32-bit numbers. FAULTY_DISK_FOLDER names the
 * folder whose files it is for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { GOOD, FULL, READ_ONLY, WRITE_ERROR, SYNC_ERROR, TORN_ERROR, TORN_KILL };

struct order {
    volatile int32_t kind;
    volatile int32_t after;  /* calls that still succeed */
    volatile int32_t struck; /* calls that have failed */
};

static struct order *order;
static char folder[4096];

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTY_DISK"), *name = getenv("FAULTY_DISK_FOLDER");
    if (path == NULL || name == NULL)
        return;
    int fd = open(path, O_RDWR);
    if (fd < 0)
        abort();
    void *mapped = mmap(NULL, sizeof(struct order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        abort();
    snprintf(folder, sizeof folder, "%s/", name);
    order = mapped;
}

static int is_there(int fd) {
    char link[64], path[4096];
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    /* SQLite's shared memory is no storage. */
    return strncmp(path, folder, strlen(folder)) == 0 && strstr(path, "-shm") == NULL;
}

/* The order if it strikes now. */
static int struck(int fd, int is_sync) {
    if (order == NULL || order->kind == GOOD || is_sync != (order->kind == SYNC_ERROR) || !is_there(fd))
        return GOOD;
    if (order->after > 0) {
        order->after--;
        return GOOD;
    }
    order->struck++;
    return order->kind;
}

/* Sets errno, and is what the call returns. */
static int failure(int kind) {
    errno = kind == FULL ? ENOSPC : kind == READ_ONLY ? EROFS : EIO;
    return -1;
}

#define NEXT(name, type) static type next; if (next == NULL) next = (type)dlsym(RTLD_NEXT, #name)

#define WRITE(name, offset_type, parameters, arguments, half)                                     \
    ssize_t name parameters {                                                                     \
        typedef ssize_t (*type) parameters;                                                       \
        NEXT(name, type);                                                                         \
        int kind = struck(fd, 0);                                                                 \
        if (kind == GOOD)                                                                         \
            return next arguments;                                                                \
        if (kind >= TORN_ERROR)                                                                   \
            (void)!next half;                                                                     \
        if (kind == TORN_KILL)                                                                    \
            kill(getpid(), SIGKILL);                                                              \
        return failure(kind);                                                                     \
    }

WRITE(write, off_t, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size / 2))
WRITE(pwrite, off_t, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), (fd, data, size / 2, at))
WRITE(pwrite64, off64_t, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
      (fd, data, size / 2, at))

#define SYNC(name)                                                                                \
    int name(int fd) {                                                                            \
        typedef int (*type)(int);                                                                 \
        NEXT(name, type);                                                                         \
        return struck(fd, 1) == GOOD ? next(fd) : failure(SYNC_ERROR);                            \
    }

SYNC(fsync)
SYNC(fdatasync)
