/* SPDX-License-Identifier: Apache-2.0 */
// What operators made through OpenFlow, as rows. Rows come by the hundred thousand, so statements
// are kept, and all changes up to the next commit are one transaction.
#include <errno.h>
#include <stdlib.h>

#include "config/state_internal.h"

static int begin(struct state *state, char **error)
{
    int rc = 0;

    if (!state->changing)
        rc = state_exec(state, "BEGIN IMMEDIATE", "change rules", error);
    state->changing = rc == 0;
    return rc;
}

// After an error nothing of the transaction stays, and all has to be written anew.
static int give_up(struct state *state, int rc)
{
    sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    state->changing = false;
    state->lost = true;
    return rc;
}

static int run(struct state *state, sqlite3_stmt *stmt, char **error)
{
    int rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : state_db_error(state, "change rules", error);

    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return rc;
}

int state_openflow_put(struct state *state, enum state_openflow kind, uint64_t id, int64_t expires,
                       const void *message, size_t size, char **error)
{
    int rc = begin(state, error);

    if (rc == 0)
        rc =
            state_prepare(state, &state->put, "INSERT OR REPLACE INTO openflow VALUES (?, ?, ?, ?)",
                          "change rules", error);
    if (rc == 0) {
        sqlite3_bind_int(state->put, 1, kind);
        sqlite3_bind_int64(state->put, 2, (int64_t)id);
        sqlite3_bind_int64(state->put, 3, expires);
        sqlite3_bind_blob64(state->put, 4, message, size, SQLITE_STATIC);
        rc = run(state, state->put, error);
    }
    return rc ? give_up(state, rc) : 0;
}

int state_openflow_del(struct state *state, enum state_openflow kind, uint64_t id, char **error)
{
    int rc = begin(state, error);

    if (rc == 0)
        rc = state_prepare(state, &state->del, "DELETE FROM openflow WHERE kind = ? AND id = ?",
                           "change rules", error);
    if (rc == 0) {
        sqlite3_bind_int(state->del, 1, kind);
        sqlite3_bind_int64(state->del, 2, (int64_t)id);
        rc = run(state, state->del, error);
    }
    return rc ? give_up(state, rc) : 0;
}

int state_openflow_clear(struct state *state, char **error)
{
    int rc = begin(state, error);

    if (rc == 0)
        rc = state_exec(state, "DELETE FROM openflow", "change rules", error);
    if (rc)
        return give_up(state, rc);
    state->lost = false;
    return 0;
}

int state_openflow_commit(struct state *state, char **error)
{
    int rc;

    if (state->lost)
        return state_fail(-EIO, error, "%s: earlier changes of rules could not be written",
                          state->path);
    if (!state->changing)
        return 0;
    rc = state_exec(state, "COMMIT", "write rules", error);
    if (rc)
        return give_up(state, rc);
    state->changing = false;
    return 0;
}

void state_openflow_end(struct state *state)
{
    char *error = NULL;

    if (state->changing)
        state_openflow_commit(state, &error);
    free(error);
}

int state_openflow_list(struct state *state, enum state_openflow kind, state_openflow_fn *fn,
                        void *aux, char **error)
{
    sqlite3_stmt *stmt = NULL;
    int step, rc = 0;

    if (sqlite3_prepare_v2(state->db,
                           "SELECT id, expires, message FROM openflow WHERE kind = ? ORDER BY id",
                           -1, &stmt, NULL) != SQLITE_OK)
        return state_db_error(state, "list rules", error);
    sqlite3_bind_int(stmt, 1, kind);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
        fn(kind, (uint64_t)sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
           sqlite3_column_blob(stmt, 2), sqlite3_column_bytes(stmt, 2), aux);
    if (step != SQLITE_DONE)
        rc = state_db_error(state, "list rules", error);
    sqlite3_finalize(stmt);
    return rc;
}

int state_datapath_id(struct state *state, uint64_t *id, char **error)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(state->db, "SELECT datapath_id FROM switch", -1, &stmt, NULL) !=
            SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        rc = state_db_error(state, "read the datapath id", error);
    else
        *id = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc;
}
