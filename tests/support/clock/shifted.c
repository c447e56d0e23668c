/* Preloaded into a daemon (ld.so(8)): shows it clocks that a test can set, and a boot of the test's own.
 *
 * The file named by SHIFTED_CLOCK has three 64-bit numbers: how far CLOCK_REALTIME and CLOCK_BOOTTIME are ahead of those of the
 * machine, in nanoseconds, and the number of the boot. CLOCK_MONOTONIC, which timers use, is unchanged. The times at
 * which the kernel received datagrams are shifted as well. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("SHIFTED_CLOCK"), O_RDONLY);
    void *page = mmap(NULL, 24, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    shift = page;
}

static void add(struct timespec *time, int64_t ns) {
    int64_t all = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + ns;
    time->tv_sec = all / 1000000000 - (all % 1000000000 < 0);
    time->tv_nsec = all - time->tv_sec * 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && shift && clock == CLOCK_REALTIME) add(time, shift[0]);
    if (result == 0 && shift && clock == CLOCK_BOOTTIME) add(time, shift[1]);
    return result;
}

int recvmmsg(int socket, struct mmsghdr *messages, unsigned int length, int flags, struct timespec *timeout) {
    static int (*real)(int, struct mmsghdr *, unsigned int, int, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "recvmmsg");
    int received = real(socket, messages, length, flags, timeout);
    for (int number = 0; number < received; number++) {
        struct msghdr *message = &messages[number].msg_hdr;
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec time;
                memcpy(&time, CMSG_DATA(part), sizeof time);
                add(&time, shift[0]);
                memcpy(CMSG_DATA(part), &time, sizeof time);
            }
        }
    }
    return received;
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = dlsym(RTLD_NEXT, "open64");
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") != 0) {
        __builtin_va_list more;
        __builtin_va_start(more, flags);
        int mode = __builtin_va_arg(more, int);
        __builtin_va_end(more);
        return real(path, flags, mode);
    }
    int file = memfd_create("boot_id", MFD_CLOEXEC);
    dprintf(file, "%032llx\n", (unsigned long long)shift[2]);
    lseek(file, 0, SEEK_SET);
    return file;
}
