/* SPDX-License-Identifier: Apache-2.0 */
// What is acknowledged is there after a crash: of the process (SIGKILL) and of the machine (all
// that was not synced to the disk is gone).
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <sqlite3.h>

#include "tests/unit/state_fixture.h"

#define SLOTS       40  // attachments that come and go
#define KILLS       300 // of a process at work
#define FIRST_KILLS 100 // of one that makes the file
#define POWER_CUTS  30
#define ACKED       0x80

static unsigned long environment(const char *name, unsigned long other)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 10) : other;
}

static void read_slots(struct state *state, bool present[SLOTS])
{
    struct attachment *list;
    char *error = NULL;
    size_t n;

    memset(present, 0, SLOTS * sizeof(*present));
    if (state_list(state, &list, &n, &error) < 0)
        fail_msg("%s", error);
    for (size_t i = 0; i < n; i++) {
        struct attachment whole = attachment_no(list[i].port - 1);

        assert_true(list[i].port <= SLOTS);
        assert_memory_equal(&list[i], &whole, sizeof(whole));
        present[list[i].port - 1] = true;
    }
    free(list);
}

// Adds and deletes for ever (or `n` times) and says so: the slot before, the slot and ACKED after.
static void work(int pipe, unsigned seed, unsigned long n)
{
    struct state *state = open_state();
    bool present[SLOTS];
    char *error = NULL;

    read_slots(state, present);
    while (n-- > 0) {
        uint8_t slot = rand_r(&seed) % SLOTS, acked = slot | ACKED;
        struct attachment attachment = attachment_no(slot);
        int rc;

        if (write(pipe, &slot, 1) != 1)
            _exit(1);
        rc = present[slot] ? state_del(state, attachment.container_id, attachment.ifname, &error)
                           : state_add(state, &attachment, &error);
        if (rc < 0 || write(pipe, &acked, 1) != 1)
            _exit(1);
        present[slot] = !present[slot];
    }
    _exit(0);
}

// Follows what the child said. The slot it was at when it ended, or -1.
static int follow(int pipe, bool present[SLOTS], unsigned long *acked)
{
    int pending = -1;
    uint8_t said;

    while (read(pipe, &said, 1) == 1) {
        if (said & ACKED) {
            present[said & ~ACKED] = !present[said & ~ACKED];
            (*acked)++;
            pending = -1;
        } else {
            pending = said;
        }
    }
    return pending;
}

static void assert_slots(const bool present[SLOTS], int pending)
{
    struct state *state = open_state();
    bool found[SLOTS];

    read_slots(state, found);
    state_close(state);
    for (int i = 0; i < SLOTS; i++)
        if (found[i] != present[i] && i != pending)
            fail_msg("slot %d should%s be there", i, present[i] ? "" : " not");
}

static void kill_after(pid_t child, unsigned us)
{
    struct timespec wait = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void killed_at_any_instant(void **fixture)
{
    unsigned seed = environment("SEED", time(NULL));
    unsigned long acked = 0, kills = environment("KILLS", KILLS);
    bool present[SLOTS] = {false};

    (void)fixture;
    print_message("# SEED=%u\n", seed);
    state_close(open_state());
    for (unsigned long round = 0; round < kills; round++) {
        struct state *state;
        int fds[2], pending;
        pid_t child;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        if (child == 0)
            work(fds[1], seed + round, -1);
        close(fds[1]);
        // Every other time not while it opens the file.
        if (round % 2)
            poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 10000);
        kill_after(child, rand_r(&seed) % 20000);
        pending = follow(fds[0], present, &acked);
        close(fds[0]);
        assert_slots(present, pending);
        // The one that was at work is there or not; go on from what it is.
        state = open_state();
        read_slots(state, present);
        state_close(state);
    }
    print_message("# %lu changes in %lu runs\n", acked, kills);
    assert_true(acked > 0);
}

static void killed_while_it_makes_the_file(void **fixture)
{
    unsigned seed = environment("SEED", time(NULL));

    (void)fixture;
    print_message("# SEED=%u\n", seed);
    for (int round = 0; round < FIRST_KILLS; round++) {
        pid_t child = fork();

        if (child == 0) {
            open_state();
            _exit(0);
        }
        kill_after(child, rand_r(&seed) % 4000);
        assert_slots((bool[SLOTS]){false}, -1);
        remove_folder(NULL);
        make_folder(NULL);
    }
}

// A VFS that keeps beside each file what of it is on the disk: FILE.disk, as of its last sync.

struct synced_file {
    sqlite3_file base;
    char name[96];
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static void keep_on_disk(const char *name)
{
    static char data[FILE_MAX];
    char disk[128];

    snprintf(disk, sizeof(disk), "%s.disk", name);
    write_file(disk, data, read_file(name, data));
}

static sqlite3_file *real_file(sqlite3_file *file)
{
    return ((struct synced_file *)file)->real;
}

static int synced_sync(sqlite3_file *file, int flags)
{
    int rc = real_file(file)->pMethods->xSync(real_file(file), flags);

    keep_on_disk(((struct synced_file *)file)->name);
    return rc;
}

static int synced_close(sqlite3_file *file)
{
    int rc = real_file(file)->pMethods->xClose(real_file(file));

    sqlite3_free(real_file(file));
    return rc;
}

#define FORWARD(name, parameters, ...)                                                             \
    static int synced_##name parameters                                                            \
    {                                                                                              \
        return real_file(file)->pMethods->x##name(real_file(file), ##__VA_ARGS__);                 \
    }
FORWARD(Read, (sqlite3_file * file, void *to, int n, sqlite3_int64 at), to, n, at)
FORWARD(Write, (sqlite3_file * file, const void *from, int n, sqlite3_int64 at), from, n, at)
FORWARD(Truncate, (sqlite3_file * file, sqlite3_int64 size), size)
FORWARD(FileSize, (sqlite3_file * file, sqlite3_int64 *size), size)
FORWARD(Lock, (sqlite3_file * file, int lock), lock)
FORWARD(Unlock, (sqlite3_file * file, int lock), lock)
FORWARD(CheckReservedLock, (sqlite3_file * file, int *result), result)
FORWARD(FileControl, (sqlite3_file * file, int op, void *argument), op, argument)
FORWARD(SectorSize, (sqlite3_file * file))
FORWARD(DeviceCharacteristics, (sqlite3_file * file))

static const sqlite3_io_methods synced_methods = {
    .iVersion = 1,
    .xClose = synced_close,
    .xRead = synced_Read,
    .xWrite = synced_Write,
    .xTruncate = synced_Truncate,
    .xSync = synced_sync,
    .xFileSize = synced_FileSize,
    .xLock = synced_Lock,
    .xUnlock = synced_Unlock,
    .xCheckReservedLock = synced_CheckReservedLock,
    .xFileControl = synced_FileControl,
    .xSectorSize = synced_SectorSize,
    .xDeviceCharacteristics = synced_DeviceCharacteristics,
};

static int synced_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *out_flags)
{
    struct synced_file *synced = (struct synced_file *)file;
    bool there = access(name, F_OK) == 0;
    int rc;

    (void)vfs;
    synced->real = sqlite3_malloc(real_vfs->szOsFile);
    memset(synced->real, 0, real_vfs->szOsFile);
    rc = real_vfs->xOpen(real_vfs, name, synced->real, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    snprintf(synced->name, sizeof(synced->name), "%s", name);
    if (there)
        keep_on_disk(name); // was there before all this
    file->pMethods = &synced_methods;
    return SQLITE_OK;
}

static void use_synced_vfs(void)
{
    static sqlite3_vfs vfs;

    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "synced";
    vfs.szOsFile = sizeof(struct synced_file);
    vfs.xOpen = synced_open;
    sqlite3_vfs_register(&vfs, 1);
}

// Files as they are on the disk; one that never was synced is empty.
static void cut_power(const char *name)
{
    char disk[128];

    snprintf(disk, sizeof(disk), "%s.disk", name);
    if (access(name, F_OK) < 0)
        return;
    if (access(disk, F_OK) == 0)
        assert_int_equal(rename(disk, name), 0);
    else
        write_file(name, "", 0);
}

static void without_power_only_what_is_synced_stays(void **fixture)
{
    unsigned seed = environment("SEED", time(NULL));
    bool present[SLOTS] = {false};
    unsigned long acked = 0;
    char wal[80];

    (void)fixture;
    print_message("# SEED=%u\n", seed);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    state_close(open_state());
    for (int round = 0; round < POWER_CUTS; round++) {
        int fds[2], status;
        pid_t child;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        if (child == 0) {
            use_synced_vfs();
            // Now and then so many that the log is written back into the file meanwhile.
            work(fds[1], seed + round, rand_r(&seed) % (round % 10 == 0 ? 600 : 60));
        }
        rand_r(&seed);
        close(fds[1]);
        assert_int_equal(follow(fds[0], present, &acked), -1);
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        cut_power(path);
        cut_power(wal);
        assert_slots(present, -1);
    }
    assert_true(acked > POWER_CUTS);
}

#define CRASH_TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CRASH_TEST(killed_at_any_instant),
        CRASH_TEST(killed_while_it_makes_the_file),
        CRASH_TEST(without_power_only_what_is_synced_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
