/* SPDX-License-Identifier: Apache-2.0 */
// What state.c (attachments), state_openflow.c and state_file.c (the file they are in) share.
#pragma once

#include <sqlite3.h>

#include "config/state.h"

struct state {
    sqlite3 *db;
    char *path;
    bool changing;                            // state_openflow.c has begun a transaction
    bool lost;                                // ... and could not finish it
    sqlite3_stmt *put, *del;                  // state_openflow.c's
    sqlite3_stmt *add, *add_address, *remove; // state.c's
};

// Sets *error to the sentence and returns `code`.
__attribute__((format(printf, 3, 4))) int state_fail(int code, char **error, const char *format,
                                                     ...);
int state_damaged(const char *path, const char *how, char **error);
// The sentence for what SQLite just answered, and the errno for it.
int state_db_error(const struct state *state, const char *doing, char **error);
// Prepares *stmt if it is NULL, to be kept until the file is closed.
int state_prepare(const struct state *state, sqlite3_stmt **stmt, const char *sql,
                  const char *doing, char **error);
int state_exec(const struct state *state, const char *sql, const char *doing, char **error);

// Commits what state_openflow.c has begun. A failure shows in its next commit.
void state_openflow_end(struct state *state);
