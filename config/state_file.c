/* SPDX-License-Identifier: Apache-2.0 */
// The state file: making, opening and checking it.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/state_internal.h"

#define BOOT_ID_PATH   "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LENGTH 36
#define BUSY_WAIT_MS   1000 // a daemon that was just killed still holds its lock for a moment

// "Slce" in the file's header says whose file it is, user_version which tables to expect.
#define APPLICATION_ID 0x536c6365
#define SCHEMA_VERSION 2
#define STRING(x)      #x
#define TEXT(x)        STRING(x)

// clang-format off
static const char schema[] =
    "PRAGMA application_id = " TEXT(APPLICATION_ID) ";"
    "CREATE TABLE boot (id TEXT NOT NULL) STRICT;"
    "INSERT INTO boot VALUES ('');"
    "CREATE TABLE attachments ("
    " container_id TEXT NOT NULL CHECK (container_id <> ''),"
    " ifname TEXT NOT NULL CHECK (ifname <> ''),"
    " netdev TEXT NOT NULL,"
    " devargs TEXT NOT NULL CHECK ((netdev = '') <> (devargs = '')),"
    " mac BLOB NOT NULL CHECK (length(mac) = 6),"
    " mtu INTEGER NOT NULL CHECK (mtu BETWEEN 0 AND 65535),"
    " port INTEGER NOT NULL UNIQUE CHECK (port BETWEEN 1 AND 1023),"
    " pod TEXT NOT NULL,"
    " PRIMARY KEY (container_id, ifname)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE addresses ("
    " address BLOB NOT NULL PRIMARY KEY CHECK (length(address) = 16),"
    " container_id TEXT NOT NULL,"
    " ifname TEXT NOT NULL,"
    " position INTEGER NOT NULL," // in the attachment's list
    " UNIQUE (container_id, ifname, position),"
    " FOREIGN KEY (container_id, ifname) REFERENCES attachments ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;";
// What version 2 added.
static const char schema_2[] =
    "PRAGMA user_version = " TEXT(SCHEMA_VERSION) ";"
    "CREATE TABLE openflow ("
    " kind INTEGER NOT NULL," // enum state_openflow
    " id INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " message BLOB NOT NULL,"
    " PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE switch (datapath_id INTEGER NOT NULL) STRICT;"
    "INSERT INTO switch VALUES (random() & 0xffffffffffff);";
// clang-format on

int state_fail(int code, char **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (vasprintf(error, format, args) < 0)
        *error = NULL;
    va_end(args);
    return code;
}

int state_damaged(const char *path, const char *how, char **error)
{
    return state_fail(
        -EUCLEAN, error,
        "%s: the state file is damaged (%s); move it and %s-wal away and start again, "
        "then make every pod of this node anew",
        path, how, path);
}

int state_db_error(const struct state *state, const char *doing, char **error)
{
    const char *path = state->path, *message = sqlite3_errmsg(state->db);

    switch (sqlite3_errcode(state->db)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return state_fail(-EBUSY, error,
                          "%s: another process has the state file open; stop the other sluiced",
                          path);
    case SQLITE_FULL:
        return state_fail(-ENOSPC, error, "%s: %s: no space left; free some on its file system",
                          path, doing);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return state_fail(-EACCES, error,
                          "%s: %s: %s; sluiced has to be able to write the file and its folder",
                          path, doing, message);
    case SQLITE_NOMEM:
        return state_fail(-ENOMEM, error, "%s: %s: out of memory", path, doing);
    case SQLITE_CONSTRAINT:
        return state_fail(-EINVAL, error, "%s: %s: %s", path, doing, message);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: // the statements are right, so a table is missing or another one
        return state_damaged(path, message, error);
    default:
        return state_fail(-EIO, error, "%s: %s: %s; look in the kernel's log for the disk's errors",
                          path, doing, message);
    }
}

int state_exec(const struct state *state, const char *sql, const char *doing, char **error)
{
    if (sqlite3_exec(state->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return state_db_error(state, doing, error);
    return 0;
}

int state_prepare(const struct state *state, sqlite3_stmt **stmt, const char *sql,
                  const char *doing, char **error)
{
    if (*stmt == NULL &&
        sqlite3_prepare_v3(state->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
        return state_db_error(state, doing, error);
    return 0;
}

// The first column of a statement's first row, "" if there is no row, for free(). NULL if it
// failed.
static char *query_text(const struct state *state, const char *sql, int *rc, char **error)
{
    sqlite3_stmt *stmt = NULL;
    char *text = NULL;
    int step = sqlite3_prepare_v2(state->db, sql, -1, &stmt, NULL);

    if (step == SQLITE_OK)
        step = sqlite3_step(stmt);
    if (step == SQLITE_ROW)
        text = strdup((const char *)sqlite3_column_text(stmt, 0) ?: "");
    else if (step == SQLITE_DONE)
        text = strdup("");
    else
        *rc = state_db_error(state, "read", error);
    if (!text && (step == SQLITE_ROW || step == SQLITE_DONE))
        *rc = state_fail(-ENOMEM, error, "%s: out of memory", state->path);
    sqlite3_finalize(stmt);
    return text;
}

static int open_db(struct state *state, const char *path, char **error)
{
    if (sqlite3_open_v2(path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return state_db_error(state, "open", error);
    // SQLite opens what cannot be written for reading, and fails later with other words.
    if (sqlite3_db_readonly(state->db, "main"))
        return state_fail(-EROFS, error,
                          "%s: read-only; sluiced has to be able to write the file and its folder",
                          path);
    sqlite3_busy_timeout(state->db, BUSY_WAIT_MS);
    sqlite3_db_config(state->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(state->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return rc;
}

// Makes the file under another name first, so that an empty or half-made one at `path` can only be
// damage, and is never taken for a new one.
static int create_at(const char *path, const char *temporary, const char *folder, char **error)
{
    struct state new = {.path = (char *)temporary};
    int fd, rc;

    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return state_fail(-errno, error, "%s: cannot make the folder: %s", folder, strerror(errno));
    unlink(temporary);
    fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return state_fail(-errno, error, "%s: cannot make the file: %s", temporary,
                          strerror(errno));
    close(fd);
    rc = open_db(&new, temporary, error);
    // The rename below makes the file count; a journal on disk could only outlive a crash.
    if (rc == 0)
        rc = state_exec(&new, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;", "create",
                        error);
    if (rc == 0)
        rc = state_exec(&new, "BEGIN;", "create", error);
    if (rc == 0)
        rc = state_exec(&new, schema, "create", error);
    if (rc == 0)
        rc = state_exec(&new, schema_2, "create", error);
    if (rc == 0)
        rc = state_exec(&new, "COMMIT;", "create", error);
    sqlite3_close(new.db);
    if (rc < 0)
        return rc;
    if (rename(temporary, path) < 0)
        return state_fail(-errno, error, "%s: cannot rename it to %s: %s", temporary, path,
                          strerror(errno));
    rc = sync_folder(folder);
    if (rc < 0)
        return state_fail(rc, error, "%s: cannot sync the folder: %s", folder, strerror(-rc));
    return 0;
}

static int create(const char *path, char **error)
{
    char *temporary = NULL, *wal = NULL, *copy = strdup(path);
    int rc;

    if (!copy || asprintf(&temporary, "%s.new", path) < 0 || asprintf(&wal, "%s-wal", path) < 0)
        rc = state_fail(-ENOMEM, error, "%s: out of memory", path);
    else if (access(wal, F_OK) == 0) // SQLite would mix it into the new file
        rc = state_fail(
            -EUCLEAN, error,
            "%s: the state file is missing but %s is there; put it back, or move that file "
            "away too",
            path, wal);
    else
        rc = create_at(path, temporary, dirname(copy), error);
    free(temporary);
    free(wal);
    free(copy);
    return rc;
}

// `version` is the file's.
static int check_version(const struct state *state, long *version, char **error)
{
    int rc = 0;
    char *id = query_text(state, "PRAGMA application_id", &rc, error);
    char *text = id ? query_text(state, "PRAGMA user_version", &rc, error) : NULL;

    *version = text ? strtol(text, NULL, 10) : 0;
    if (text && strtol(id, NULL, 10) != APPLICATION_ID)
        rc = state_damaged(state->path, "it is not a state file of Sluice", error);
    else if (text && *version > SCHEMA_VERSION)
        rc = state_fail(-ENOTSUP, error,
                        "%s: the state file has format %s of a newer Sluice, this one knows up to "
                        "%d; start that version",
                        state->path, text, SCHEMA_VERSION);
    else if (text && *version < 1)
        rc = state_damaged(state->path, "it has no known format", error);
    free(id);
    free(text);
    return rc;
}

// Takes a file of an earlier version on to this one.
static int upgrade(struct state *state, long version, char **error)
{
    int rc;

    if (version == SCHEMA_VERSION)
        return 0;
    rc = state_exec(state, "BEGIN IMMEDIATE", "upgrade", error);
    if (rc == 0)
        rc = state_exec(state, schema_2, "upgrade", error);
    if (rc == 0)
        rc = state_exec(state, "COMMIT", "upgrade", error);
    return rc;
}

// The pages, indices and constraints, then every row as we would use it.
static int check_integrity(struct state *state, char **error)
{
    struct attachment *list = NULL;
    char *pages, *references = NULL;
    size_t n;
    int rc = 0;

    pages = query_text(state, "PRAGMA integrity_check(1)", &rc, error);
    if (pages && strcmp(pages, "ok") != 0)
        rc = state_damaged(state->path, pages, error);
    if (rc == 0)
        references = query_text(state, "PRAGMA foreign_key_check", &rc, error);
    if (references && references[0] != '\0')
        rc = state_damaged(state->path, "an address belongs to no attachment", error);
    if (rc == 0)
        rc = state_list(state, &list, &n, error);
    free(pages);
    free(references);
    free(list);
    return rc;
}

static int read_boot_id(const char *path, char id[BOOT_ID_LENGTH + 1], char **error)
{
    FILE *file = fopen(path, "re");
    int rc = 0;

    if (!file)
        return state_fail(-errno, error, "%s: cannot read the boot id: %s", path, strerror(errno));
    if (fread(id, 1, BOOT_ID_LENGTH, file) != BOOT_ID_LENGTH ||
        strspn(id, "0123456789abcdef-") != BOOT_ID_LENGTH)
        rc = state_fail(-EINVAL, error, "%s: holds no boot id; is /proc mounted there?", path);
    fclose(file);
    return rc;
}

static int forget_last_boot(struct state *state, const char *boot_id, bool *rebooted, char **error)
{
    int rc = 0;
    char sql[128], *stored = query_text(state, "SELECT id FROM boot", &rc, error);

    *rebooted = false;
    if (stored && strcmp(stored, boot_id) != 0) {
        snprintf(sql, sizeof(sql),
                 "BEGIN; DELETE FROM attachments; UPDATE boot SET id = '%s'; COMMIT;", boot_id);
        rc = state_exec(state, sql, "forget the last boot's attachments", error);
        *rebooted = rc == 0 && stored[0] != '\0'; // "": just made
    }
    free(stored);
    return rc;
}

int state_open(const char *path, struct state **state, bool *rebooted, char **error)
{
    return state_open_boot(path, BOOT_ID_PATH, state, rebooted, error);
}

int state_open_boot(const char *path, const char *boot_id_path, struct state **state,
                    bool *rebooted, char **error)
{
    char boot_id[BOOT_ID_LENGTH + 1] = "";
    struct state *new;
    long version;
    int rc = read_boot_id(boot_id_path, boot_id, error);

    *state = NULL;
    if (rc == 0 && access(path, F_OK) < 0)
        rc = errno == ENOENT ? create(path, error)
                             : state_fail(-errno, error, "%s: cannot reach the file: %s", path,
                                          strerror(errno));
    if (rc < 0)
        return rc;

    new = calloc(1, sizeof(*new));
    if (!new || !(new->path = strdup(path))) {
        free(new);
        return state_fail(-ENOMEM, error, "%s: out of memory", path);
    }
    rc = open_db(new, path, error);
    // The lock keeps a second daemon out, and spares the shared memory file that WAL needs else.
    if (rc == 0)
        rc = state_exec(new, "PRAGMA locking_mode = EXCLUSIVE;", "lock", error);
    if (rc == 0)
        rc = check_version(new, &version, error);
    if (rc == 0)
        rc = state_exec(new,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                        "PRAGMA foreign_keys = ON;",
                        "prepare", error);
    if (rc == 0)
        rc = upgrade(new, version, error);
    if (rc == 0)
        rc = check_integrity(new, error);
    if (rc == 0)
        rc = forget_last_boot(new, boot_id, rebooted, error);
    if (rc < 0) {
        state_close(new);
        return rc;
    }
    *state = new;
    return 0;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    sqlite3_finalize(state->put);
    sqlite3_finalize(state->del);
    sqlite3_finalize(state->add);
    sqlite3_finalize(state->add_address);
    sqlite3_finalize(state->remove);
    sqlite3_close(state->db);
    free(state->path);
    free(state);
}
