/* SPDX-License-Identifier: Apache-2.0 */
// Attachments as rows.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/address.h"
#include "config/state_internal.h"

static void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
    sqlite3_bind_text(stmt, column, text, -1, SQLITE_STATIC);
}

// What it has bound is the caller's.
static void release(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

static int insert_attachment(struct state *state, const struct attachment *attachment, char **error)
{
    int rc = state_prepare(state, &state->add,
                           "INSERT INTO attachments (container_id, ifname, netdev, devargs, mac, "
                           "mtu, port, pod) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                           "add", error);
    sqlite3_stmt *stmt = state->add;

    if (rc < 0)
        return rc;
    bind_text(stmt, 1, attachment->container_id);
    bind_text(stmt, 2, attachment->ifname);
    bind_text(stmt, 3, attachment->netdev);
    bind_text(stmt, 4, attachment->devargs);
    sqlite3_bind_blob(stmt, 5, attachment->mac, sizeof(attachment->mac), SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 6, attachment->mtu);
    sqlite3_bind_int(stmt, 7, attachment->port);
    bind_text(stmt, 8, attachment->pod);
    if (sqlite3_step(stmt) != SQLITE_DONE) {
        int reason = sqlite3_extended_errcode(state->db);

        if (reason == SQLITE_CONSTRAINT_PRIMARYKEY)
            rc = state_fail(-EEXIST, error, "interface %s of container %s is attached already",
                            attachment->ifname, attachment->container_id);
        else if (reason == SQLITE_CONSTRAINT_UNIQUE)
            rc = state_fail(-EEXIST, error, "port %u belongs to another attachment",
                            attachment->port);
        else
            rc = state_db_error(state, "add", error);
    }
    release(stmt);
    return rc;
}

static int insert_addresses(struct state *state, const struct attachment *attachment, char **error)
{
    int rc = state_prepare(state, &state->add_address,
                           "INSERT INTO addresses (address, container_id, ifname, position) "
                           "VALUES (?, ?, ?, ?)",
                           "add", error);
    sqlite3_stmt *stmt = state->add_address;
    char text[ADDRESS_TEXT];

    if (rc < 0)
        return rc;
    bind_text(stmt, 2, attachment->container_id);
    bind_text(stmt, 3, attachment->ifname);
    for (unsigned i = 0; rc == 0 && i < attachment->n_addresses; i++) {
        sqlite3_bind_blob(stmt, 1, &attachment->addresses[i], sizeof(struct in6_addr),
                          SQLITE_STATIC);
        sqlite3_bind_int(stmt, 4, i);
        if (sqlite3_step(stmt) == SQLITE_DONE)
            sqlite3_reset(stmt);
        else if (sqlite3_extended_errcode(state->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
            rc = state_fail(-EEXIST, error, "address %s belongs to an attachment already",
                            address_format(&attachment->addresses[i], text));
        else
            rc = state_db_error(state, "add", error);
    }
    release(stmt);
    return rc;
}

int state_add(struct state *state, const struct attachment *attachment, char **error)
{
    int rc;

    if (attachment->n_addresses > STATE_ADDRESSES_MAX)
        return state_fail(-EINVAL, error, "%u addresses in one attachment; at most %d",
                          attachment->n_addresses, STATE_ADDRESSES_MAX);
    state_openflow_end(state); // there is one transaction at a time
    rc = state_exec(state, "BEGIN IMMEDIATE", "add", error);
    if (rc < 0)
        return rc;
    rc = insert_attachment(state, attachment, error);
    if (rc == 0)
        rc = insert_addresses(state, attachment, error);
    if (rc == 0)
        rc = state_exec(state, "COMMIT", "add", error);
    if (rc < 0) // some errors have rolled back already, and then this one fails
        sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int state_del(struct state *state, const char *container_id, const char *ifname, char **error)
{
    sqlite3_stmt *stmt;
    int rc;

    state_openflow_end(state);
    rc = state_prepare(state, &state->remove,
                       "DELETE FROM attachments WHERE container_id = ? AND ifname = ?", "delete",
                       error);
    if (rc < 0)
        return rc;
    stmt = state->remove;
    bind_text(stmt, 1, container_id);
    bind_text(stmt, 2, ifname);
    if (sqlite3_step(stmt) != SQLITE_DONE)
        rc = state_db_error(state, "delete", error);
    else if (sqlite3_changes(state->db) == 0)
        rc = state_fail(-ENOENT, error, "interface %s of container %s is not attached", ifname,
                        container_id);
    release(stmt);
    return rc;
}

// False if it does not fit, which state_add would never have written.
static bool column_text(sqlite3_stmt *stmt, int column, char *buf, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    return text && (size_t)snprintf(buf, size, "%s", text) < size;
}

static bool column_blob(sqlite3_stmt *stmt, int column, void *buf, int size)
{
    const void *blob = sqlite3_column_blob(stmt, column);

    if (!blob || sqlite3_column_bytes(stmt, column) != size)
        return false;
    memcpy(buf, blob, size);
    return true;
}

static bool read_attachment(sqlite3_stmt *stmt, struct attachment *attachment)
{
    attachment->mtu = sqlite3_column_int(stmt, 5);
    attachment->port = sqlite3_column_int(stmt, 6);
    return column_text(stmt, 0, attachment->container_id, sizeof(attachment->container_id)) &&
           column_text(stmt, 1, attachment->ifname, sizeof(attachment->ifname)) &&
           column_text(stmt, 2, attachment->netdev, sizeof(attachment->netdev)) &&
           column_text(stmt, 3, attachment->devargs, sizeof(attachment->devargs)) &&
           column_blob(stmt, 4, attachment->mac, sizeof(attachment->mac)) &&
           column_text(stmt, 7, attachment->pod, sizeof(attachment->pod));
}

// One row for each address of each attachment (or one without), in the order of *list.
static int read_rows(const struct state *state, sqlite3_stmt *stmt, struct attachment **list,
                     size_t *n, char **error)
{
    struct attachment *last = NULL;
    int step;

    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!last || last->port != sqlite3_column_int(stmt, 6)) {
            struct attachment *more = reallocarray(*list, *n + 1, sizeof(**list));

            if (!more)
                return state_fail(-ENOMEM, error, "%s: out of memory", state->path);
            *list = more;
            last = &more[(*n)++];
            memset(last, 0, sizeof(*last));
            if (!read_attachment(stmt, last))
                return state_damaged(state->path, "an attachment has a value of the wrong size",
                                     error);
        }
        if (sqlite3_column_type(stmt, 8) == SQLITE_NULL)
            continue;
        if (last->n_addresses == STATE_ADDRESSES_MAX ||
            !column_blob(stmt, 8, &last->addresses[last->n_addresses++], sizeof(struct in6_addr)))
            return state_damaged(state->path, "an attachment has too many addresses or a wrong one",
                                 error);
    }
    return step == SQLITE_DONE ? 0 : state_db_error(state, "list", error);
}

int state_list(struct state *state, struct attachment **list, size_t *n, char **error)
{
    sqlite3_stmt *stmt = NULL;
    int rc;

    *list = NULL;
    *n = 0;
    if (sqlite3_prepare_v2(
            state->db,
            "SELECT container_id, ifname, netdev, devargs, mac, mtu, port, pod, address "
            "FROM attachments LEFT JOIN addresses USING (container_id, ifname) "
            "ORDER BY port, position",
            -1, &stmt, NULL) != SQLITE_OK)
        return state_db_error(state, "list", error);
    rc = read_rows(state, stmt, list, n, error);
    sqlite3_finalize(stmt);
    if (rc < 0) {
        free(*list);
        *list = NULL;
        *n = 0;
    }
    return rc;
}
