/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include <sqlite3.h>

#include "tests/unit/state_fixture.h"

struct seen {
    unsigned n;
    uint64_t ids[8];
    int64_t expires[8];
    char messages[8][16];
};

static void see(enum state_openflow kind, uint64_t id, int64_t expires, const void *message,
                size_t size, void *aux)
{
    struct seen *seen = aux;

    (void)kind;
    assert_true(seen->n < 8 && size < 16);
    seen->ids[seen->n] = id;
    seen->expires[seen->n] = expires;
    memcpy(seen->messages[seen->n++], message, size);
}

static struct seen list(struct state *state, enum state_openflow kind)
{
    struct seen seen = {0};
    char *error = NULL;

    assert_int_equal(state_openflow_list(state, kind, see, &seen, &error), 0);
    return seen;
}

static void put(struct state *state, uint64_t id, const char *message)
{
    char *error = NULL;

    if (state_openflow_put(state, STATE_OPENFLOW_RULE, id, 7, message, strlen(message), &error))
        fail_msg("%s", error);
}

static void commit(struct state *state)
{
    char *error = NULL;

    if (state_openflow_commit(state, &error))
        fail_msg("%s", error);
}

static void what_is_committed_comes_back_in_order(void **fixture)
{
    struct state *state = open_state();
    char *error = NULL;
    struct seen seen;

    (void)fixture;
    put(state, 1ULL << 40, "last");
    put(state, 3, "old");
    put(state, 2, "first");
    put(state, 3, "new");
    put(state, 4, "gone");
    assert_int_equal(state_openflow_put(state, STATE_OPENFLOW_GROUP, 3, 0, "g", 1, &error), 0);
    assert_int_equal(state_openflow_del(state, STATE_OPENFLOW_RULE, 4, &error), 0);
    assert_int_equal(state_openflow_del(state, STATE_OPENFLOW_RULE, 99, &error), 0);
    commit(state);
    state_close(state);

    state = open_state();
    seen = list(state, STATE_OPENFLOW_RULE);
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.messages[0], "first");
    assert_string_equal(seen.messages[1], "new");
    assert_string_equal(seen.messages[2], "last");
    assert_int_equal(seen.ids[2], 1ULL << 40);
    assert_int_equal(seen.expires[2], 7);
    assert_int_equal(list(state, STATE_OPENFLOW_GROUP).n, 1);
    assert_int_equal(list(state, STATE_OPENFLOW_METER).n, 0);
    state_close(state);
}

static void what_is_not_committed_is_gone(void **fixture)
{
    struct state *state = open_state();

    (void)fixture;
    put(state, 1, "kept");
    commit(state);
    put(state, 2, "lost");
    state_close(state);
    state = open_state();
    assert_int_equal(list(state, STATE_OPENFLOW_RULE).n, 1);
    state_close(state);
}

static void an_attachment_in_between_commits_too(void **fixture)
{
    struct attachment attachment = attachment_no(1);
    struct state *state = open_state();
    char *error = NULL;

    (void)fixture;
    put(state, 1, "rule");
    assert_int_equal(state_add(state, &attachment, &error), 0);
    put(state, 2, "lost");
    state_close(state);
    state = open_state();
    assert_int_equal(list(state, STATE_OPENFLOW_RULE).n, 1);
    put(state, 3, "rule");
    assert_int_equal(state_del(state, attachment.container_id, attachment.ifname, &error), 0);
    state_close(state);
    state = open_state();
    assert_int_equal(list(state, STATE_OPENFLOW_RULE).n, 2);
    state_close(state);
}

// Where a commit failed, the next ones do until all is written anew.
static void a_full_disk_is_not_forgotten(void **fixture)
{
    struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}, full;
    struct attachment attachment = attachment_no(1);
    struct state *state = open_state();
    static char large[1 << 20];
    char *error = NULL;

    (void)fixture;
    put(state, 1, "kept");
    commit(state);
    signal(SIGXFSZ, SIG_IGN);
    full = (struct rlimit){.rlim_cur = 1 << 19, .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    state_openflow_put(state, STATE_OPENFLOW_RULE, 2, 0, large, sizeof(large), &error);
    free(error);
    error = NULL;
    state_add(state, &attachment, &error); // ends the transaction, and says nothing of it
    free(error);
    error = NULL;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_true(state_openflow_commit(state, &error) < 0);
    free(error);
    assert_int_equal(state_openflow_clear(state, &error), 0);
    put(state, 1, "kept");
    put(state, 2, "anew");
    commit(state);
    assert_int_equal(list(state, STATE_OPENFLOW_RULE).n, 2);
    state_close(state);
}

static void the_datapath_id_stays(void **fixture)
{
    struct state *state = open_state();
    uint64_t first, again;
    char *error = NULL;

    (void)fixture;
    assert_int_equal(state_datapath_id(state, &first, &error), 0);
    assert_true(first != 0 && first < 1ULL << 48);
    state_close(state);
    state = open_state();
    assert_int_equal(state_datapath_id(state, &again, &error), 0);
    assert_int_equal(first, again);
    state_close(state);
}

// Version 1 had none of all this.
static void a_file_of_version_1_is_taken_on(void **fixture)
{
    struct attachment attachment = attachment_no(1), *kept;
    struct state *state = open_state();
    char *error = NULL;
    sqlite3 *db;
    size_t n;

    (void)fixture;
    assert_int_equal(state_add(state, &attachment, &error), 0);
    state_close(state);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP TABLE openflow; DROP TABLE switch; PRAGMA user_version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    state = open_state();
    assert_int_equal(state_list(state, &kept, &n, &error), 0);
    assert_int_equal(n, 1);
    free(kept);
    put(state, 1, "rule");
    commit(state);
    state_close(state);
    state = open_state();
    assert_int_equal(list(state, STATE_OPENFLOW_RULE).n, 1);
    state_close(state);
}

#define STATE_TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STATE_TEST(what_is_committed_comes_back_in_order),
        STATE_TEST(what_is_not_committed_is_gone),
        STATE_TEST(an_attachment_in_between_commits_too),
        STATE_TEST(a_full_disk_is_not_forgotten),
        STATE_TEST(the_datapath_id_stays),
        STATE_TEST(a_file_of_version_1_is_taken_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
