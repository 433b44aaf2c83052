/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "tests/unit/state_fixture.h"

static void assert_text(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text ? text : "(null)");
}

static void add(struct state *state, unsigned i)
{
    struct attachment attachment = attachment_no(i);
    char *error = NULL;

    if (state_add(state, &attachment, &error) < 0)
        fail_msg("state_add: %s", error);
}

static size_t count(struct state *state)
{
    struct attachment *list;
    char *error = NULL;
    size_t n;

    assert_int_equal(state_list(state, &list, &n, &error), 0);
    free(list);
    return n;
}

// Opens, which must fail with `code` and a sentence that has `part` in it.
static void assert_refused(int code, const char *part)
{
    struct state *state = NULL;
    bool rebooted;
    char *error = NULL;

    assert_int_equal(state_open_boot(path, boot_path, &state, &rebooted, &error), code);
    assert_null(state);
    assert_text(error, part);
    free(error);
}

static void sql(const char *statements)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, statements, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_new_file_is_private_and_empty(void **fixture)
{
    char inner[64];
    struct stat st;
    struct state *state;

    (void)fixture;
    snprintf(inner, sizeof(inner), "%s/sluice", folder);
    snprintf(path, sizeof(path), "%s/sluice/state.db", folder);
    state = open_state();
    assert_int_equal(count(state), 0);
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    state_close(state);
}

static void attachments_come_back_as_they_were(void **fixture)
{
    struct attachment kept[3] = {attachment_no(7), attachment_no(300), attachment_no(2)};
    struct attachment *list;
    struct state *state = open_state();
    char *error = NULL;
    size_t n;

    (void)fixture;
    kept[1].n_addresses = 0;
    memset(kept[1].addresses, 0, sizeof(kept[1].addresses));
    // The longest of everything, and what SQL might trip over.
    memset(kept[2].container_id, 'c', sizeof(kept[2].container_id) - 1);
    memset(kept[2].ifname, '\'', sizeof(kept[2].ifname) - 1);
    memset(kept[2].netdev, 0, sizeof(kept[2].netdev));
    memset(kept[2].devargs, '"', sizeof(kept[2].devargs) - 1);
    memset(kept[2].pod, '%', sizeof(kept[2].pod) - 1);
    kept[2].port = 1023;
    kept[2].mtu = 65535;
    kept[2].n_addresses = STATE_ADDRESSES_MAX;
    for (int i = 0; i < STATE_ADDRESSES_MAX; i++) // not in the order of their bytes
        kept[2].addresses[i] = attachment_no(100 - i).addresses[i % 2];
    for (int i = 2; i >= 0; i--)
        assert_int_equal(state_add(state, &kept[i], &error), 0);
    state_close(state);

    state = open_state();
    assert_int_equal(state_list(state, &list, &n, &error), 0);
    assert_int_equal(n, 3);
    assert_memory_equal(list, kept, sizeof(kept)); // kept is in the order of ports
    free(list);
    state_close(state);
}

static void what_is_taken_is_refused(void **fixture)
{
    struct state *state = open_state();
    struct attachment attachment;
    char *error = NULL;

    (void)fixture;
    add(state, 1);

    attachment = attachment_no(2);
    strcpy(attachment.container_id, "container1");
    assert_int_equal(state_add(state, &attachment, &error), -EEXIST);
    assert_text(error, "interface eth0 of container container1 is attached already");
    free(error);

    attachment = attachment_no(2);
    attachment.port = 2;
    assert_int_equal(state_add(state, &attachment, &error), -EEXIST);
    assert_text(error, "port 2 belongs to another attachment");
    free(error);

    attachment = attachment_no(2);
    attachment.addresses[1] = attachment_no(1).addresses[1];
    assert_int_equal(state_add(state, &attachment, &error), -EEXIST);
    assert_text(error, "address fd00::2 belongs to an attachment already");
    free(error);

    // The same container with another interface is another attachment, and nothing of the refused
    // ones is in its way.
    assert_int_equal(count(state), 1);
    attachment = attachment_no(2);
    strcpy(attachment.container_id, "container1");
    strcpy(attachment.ifname, "net1");
    assert_int_equal(state_add(state, &attachment, &error), 0);
    assert_int_equal(count(state), 2);
    state_close(state);
}

static void what_is_no_attachment_is_refused(void **fixture)
{
    struct state *state = open_state();
    struct attachment cases[7];
    char *error;

    (void)fixture;
    for (int i = 0; i < 7; i++)
        cases[i] = attachment_no(1);
    cases[0].container_id[0] = '\0';
    cases[1].ifname[0] = '\0';
    cases[2].netdev[0] = '\0';
    strcpy(cases[3].devargs, "net_tap0");
    cases[4].port = 0;
    cases[5].port = 1024;
    cases[6].n_addresses = STATE_ADDRESSES_MAX + 1;
    for (int i = 0; i < 7; i++) {
        error = NULL;
        assert_int_equal(state_add(state, &cases[i], &error), -EINVAL);
        assert_non_null(error);
        free(error);
    }
    assert_int_equal(count(state), 0);
    state_close(state);
}

static void deleting_frees_all_of_it(void **fixture)
{
    struct state *state = open_state();
    char *error = NULL;

    (void)fixture;
    add(state, 1);
    add(state, 2);
    assert_int_equal(state_del(state, "container1", "eth0", &error), 0);
    assert_int_equal(count(state), 1);
    assert_int_equal(state_del(state, "container1", "eth0", &error), -ENOENT);
    assert_text(error, "interface eth0 of container container1 is not attached");
    free(error);
    add(state, 1);
    assert_int_equal(count(state), 2);
    state_close(state);
}

static void attachments_do_not_outlive_a_boot(void **fixture)
{
    struct state *state = open_state();
    bool rebooted = false;
    char *error = NULL;

    (void)fixture;
    add(state, 1);
    state_close(state);
    write_file(boot_path, BOOT_2 "\n", strlen(BOOT_2) + 1);
    assert_int_equal(state_open_boot(path, boot_path, &state, &rebooted, &error), 0);
    assert_true(rebooted);
    assert_int_equal(count(state), 0);
    add(state, 1); // its addresses are free again too
    state_close(state);

    state = open_state(); // says: not rebooted
    assert_int_equal(count(state), 1);
    state_close(state);
}

static void the_boot_id_has_to_be_there(void **fixture)
{
    (void)fixture;
    write_file(boot_path, "not one", 7);
    assert_refused(-EINVAL, "holds no boot id");
    unlink(boot_path);
    assert_refused(-ENOENT, "cannot read the boot id");
    assert_int_equal(access(path, F_OK), -1);
}

static void the_kernels_boot_id_is_the_default(void **fixture)
{
    struct state *state;
    bool rebooted = true;
    char *error = NULL;

    (void)fixture;
    assert_int_equal(state_open(path, &state, &rebooted, &error), 0);
    assert_false(rebooted);
    state_close(state);
}

// Damages a good file with 200 attachments by `how` and expects a refusal that leaves it alone.
static void assert_damage_is_refused(void (*how)(char *data, size_t *size))
{
    static char data[FILE_MAX], after[FILE_MAX];
    struct state *state;
    size_t size;

    unlink(path);
    state = open_state();
    for (unsigned i = 0; i < 200; i++)
        add(state, i);
    state_close(state);
    size = read_file(path, data);
    assert_true(size > 16384);
    how(data, &size);
    write_file(path, data, size);

    assert_refused(-EUCLEAN, "is damaged");
    assert_refused(-EUCLEAN, "move it and");
    assert_int_equal(read_file(path, after), size);
    assert_memory_equal(after, data, size);
}

static void no_header(char *data, size_t *size)
{
    (void)size;
    memset(data, 'x', 100);
}

static void no_byte_left(char *data, size_t *size)
{
    (void)data;
    *size = 0;
}

static void half_is_left(char *data, size_t *size)
{
    (void)data;
    *size /= 2;
}

static void zeroed_page(char *data, size_t *size)
{
    memset(data + *size / 4096 / 2 * 4096, 0, 4096);
}

static void other_text(char *data, size_t *size)
{
    memset(data, '\n', *size);
}

static void wrong_row(char *data, size_t *size)
{
    // One name in the table, which then disagrees with its index.
    char *name = memmem(data, *size, "container150", 12);

    assert_non_null(name);
    memcpy(name, "container_50", 12);
}

static void a_damaged_file_is_refused_and_kept(void **fixture)
{
    (void)fixture;
    assert_damage_is_refused(no_header);
    assert_damage_is_refused(no_byte_left);
    assert_damage_is_refused(half_is_left);
    assert_damage_is_refused(zeroed_page);
    assert_damage_is_refused(other_text);
    assert_damage_is_refused(wrong_row);
}

static void rows_that_do_not_fit_are_refused(void **fixture)
{
    static const char *const cases[] = {
        "PRAGMA ignore_check_constraints = 1; UPDATE attachments SET mac = x'01'",
        "PRAGMA ignore_check_constraints = 1; UPDATE attachments SET port = 5000",
        "UPDATE attachments SET ifname = 'longer_than_a_netdev_name'",
        "UPDATE attachments SET devargs = printf('%.300c', 'x'), netdev = ''",
        "DELETE FROM attachments",
        "DROP TABLE addresses",
        "ALTER TABLE attachments RENAME COLUMN pod TO name",
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 7) "
        "INSERT INTO addresses SELECT randomblob(16), 'container1', 'eth0', 10 + i FROM n",
    };

    (void)fixture;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct state *state;

        unlink(path);
        state = open_state();
        add(state, 1);
        state_close(state);
        sql(cases[i]);
        assert_refused(-EUCLEAN, "is damaged");
    }
}

// As on a file system that was mounted read-only after an error. Nobody writes root's files.
static void a_file_that_cannot_be_written_is_refused(void **fixture)
{
    int status;
    pid_t child;

    (void)fixture;
    state_close(open_state());
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(path, 0444), 0);
    child = fork();
    if (child == 0) {
        struct state *state;
        bool rebooted;
        char *error = NULL;
        int rc = geteuid() == 0 && setuid(65534)
                     ? -1
                     : state_open_boot(path, boot_path, &state, &rebooted, &error);
        bool said = rc == -EROFS && strstr(error, "read-only; sluiced has to be able to write");

        free(error);
        _exit(!said);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

static void random_damage_harms_nobody(void **fixture)
{
    static char good[FILE_MAX];
    struct state *state = open_state();
    size_t size;

    (void)fixture;
    for (unsigned i = 0; i < 50; i++)
        add(state, i);
    state_close(state);
    size = read_file(path, good);
    srandom(1);
    for (int round = 0; round < 300; round++) {
        static char bad[FILE_MAX];
        char *error = NULL;
        bool rebooted;

        memcpy(bad, good, size);
        for (int i = random() % 8; i >= 0; i--)
            bad[(size_t)random() % size] = random();
        write_file(path, bad, size);
        if (state_open_boot(path, boot_path, &state, &rebooted, &error) == 0) {
            assert_true(rebooted || count(state) == 50);
            state_close(state);
        } else {
            assert_non_null(error);
            free(error);
        }
    }
}

static void other_formats_are_refused(void **fixture)
{
    (void)fixture;
    state_close(open_state());
    sql("PRAGMA user_version = 3");
    assert_refused(-ENOTSUP, "format 3 of a newer Sluice, this one knows up to 2");
    unlink(path);
    sql("CREATE TABLE notes (text)");
    assert_refused(-EUCLEAN, "not a state file of Sluice");
}

static void a_log_without_its_file_is_refused(void **fixture)
{
    char wal[80];

    (void)fixture;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    write_file(wal, "x", 1);
    assert_refused(-EUCLEAN, "state file is missing");
    unlink(wal);
    state_close(open_state());
}

static void what_is_no_place_for_it_is_refused(void **fixture)
{
    (void)fixture;
    snprintf(path, sizeof(path), "%s/boot_id/state.db", folder);
    assert_refused(-ENOTDIR, "cannot reach the file");
    snprintf(path, sizeof(path), "%s/a/b/state.db", folder);
    assert_refused(-ENOENT, "cannot make the folder");
    snprintf(path, sizeof(path), "%s", folder);
    assert_refused(-EACCES, "has to be able to write the file");
}

static void a_second_daemon_is_kept_out(void **fixture)
{
    struct state *state = open_state();
    int status;
    pid_t child;

    (void)fixture;
    add(state, 1);
    child = fork();
    if (child == 0) {
        struct state *second;
        bool rebooted;
        char *error = NULL;
        int rc = state_open_boot(path, boot_path, &second, &rebooted, &error);

        _exit(rc == -EBUSY && strstr(error, "stop the other sluiced") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count(state), 1);
    state_close(state);
}

static void a_full_disk_loses_nothing(void **fixture)
{
    static const struct rlimit full = {64 << 10, RLIM_INFINITY},
                               none = {RLIM_INFINITY, RLIM_INFINITY};
    struct state *state = open_state();
    struct attachment attachment;
    char *error = NULL;
    unsigned n = 0;
    int rc;

    (void)fixture;
    // No file may grow beyond the limit: writes answer EFBIG.
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    do {
        attachment = attachment_no(n++);
        rc = state_add(state, &attachment, &error);
    } while (rc == 0 && n < 1000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_true(n > 1 && n < 1000);
    assert_true(rc == -EIO || rc == -ENOSPC);
    assert_text(error, path);
    free(error);
    assert_int_equal(count(state), n - 1);
    add(state, n - 1);
    state_close(state);
    state = open_state();
    assert_int_equal(count(state), n);
    state_close(state);
}

#define STATE_TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STATE_TEST(a_new_file_is_private_and_empty),
        STATE_TEST(attachments_come_back_as_they_were),
        STATE_TEST(what_is_taken_is_refused),
        STATE_TEST(what_is_no_attachment_is_refused),
        STATE_TEST(deleting_frees_all_of_it),
        STATE_TEST(attachments_do_not_outlive_a_boot),
        STATE_TEST(the_boot_id_has_to_be_there),
        STATE_TEST(the_kernels_boot_id_is_the_default),
        STATE_TEST(a_damaged_file_is_refused_and_kept),
        STATE_TEST(a_file_that_cannot_be_written_is_refused),
        STATE_TEST(rows_that_do_not_fit_are_refused),
        STATE_TEST(random_damage_harms_nobody),
        STATE_TEST(other_formats_are_refused),
        STATE_TEST(a_log_without_its_file_is_refused),
        STATE_TEST(what_is_no_place_for_it_is_refused),
        STATE_TEST(a_second_daemon_is_kept_out),
        STATE_TEST(a_full_disk_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
