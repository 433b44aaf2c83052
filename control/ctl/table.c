/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ctl/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

#define COLUMNS_MAX 16

struct table {
    char *columns; // the heads, cut in place
    unsigned n_columns;
    struct {
        const char *head;
        bool right;
        int width;
    } column[COLUMNS_MAX];
    char **cells;
    size_t n_cells, allocated;
};

struct table *table_create(const char *columns)
{
    struct table *table = xzalloc(sizeof *table);
    char *next = NULL;

    table->columns = xstrdup(columns);
    for (char *head = strtok_r(table->columns, " ", &next); head;
         head = strtok_r(NULL, " ", &next)) {
        unsigned i = table->n_columns++;

        ovs_assert(i < COLUMNS_MAX);
        table->column[i].right = *head == '>';
        table->column[i].head = head + table->column[i].right;
        table->column[i].width = strlen(table->column[i].head);
    }
    return table;
}

void table_destroy(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table->columns);
    free(table);
}

void table_add(struct table *table, const char *format, ...)
{
    unsigned column = table->n_cells % table->n_columns;
    va_list args;
    char *text;

    va_start(args, format);
    text = xvasprintf(format, args);
    va_end(args);
    if (!*text) {
        free(text);
        text = xstrdup("-");
    }

    if (table->n_cells == table->allocated)
        table->cells = x2nrealloc(table->cells, &table->allocated, sizeof *table->cells);
    table->cells[table->n_cells++] = text;
    if ((int)strlen(text) > table->column[column].width)
        table->column[column].width = strlen(text);
}

size_t table_rows(const struct table *table)
{
    return table->n_cells / table->n_columns;
}

// Where a narrow terminal would break lines itself, they are broken for it.
static int line_width(void)
{
    struct winsize terminal;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) || terminal.ws_col == 0)
        return TABLE_WIDTH;
    return MIN(terminal.ws_col, TABLE_WIDTH);
}

// Prints the last cell of a line that begins at column `indent`, on more lines if it is long.
static void print_wrapped(const char *text, int indent, FILE *stream)
{
    int room = line_width() - indent;

    while (room > 0 && (int)strlen(text) > room) {
        int space = room;

        while (space > 0 && text[space] != ' ')
            space--;
        if (space == 0) // a word that is longer than the room stands alone
            space = room + (int)strcspn(text + room, " ");
        if (text[space] == '\0')
            break;
        fprintf(stream, "%.*s\n%*s", space, text, indent, "");
        text += space + 1;
    }
    fprintf(stream, "%s\n", text);
}

static void print_row(const struct table *table, char *const *cells, FILE *stream)
{
    unsigned last = table->n_columns - 1;
    int indent = 0;

    while (cells && last > 0 && !strcmp(cells[last], " "))
        last--; // no spaces at a line's end

    for (unsigned i = 0; i <= last; i++) {
        const char *text = cells ? cells[i] : table->column[i].head;
        int width = table->column[i].width;

        if (i == last && !table->column[i].right) {
            print_wrapped(text, indent, stream);
            return;
        }
        fprintf(stream, "%*s%s", table->column[i].right ? width : -width, text,
                i == last ? "\n" : "  ");
        indent += width + 2;
    }
}

void table_print(const struct table *table, const char *empty, FILE *stream)
{
    if (!table->n_cells) {
        fprintf(stream, "%s\n", empty);
        return;
    }
    print_row(table, NULL, stream);
    for (size_t i = 0; i < table->n_cells; i += table->n_columns)
        print_row(table, &table->cells[i], stream);
}

void table_finish(struct table *table, const char *empty, struct table *notes)
{
    table_print(table, empty, stdout);
    if (table_rows(notes)) {
        putchar('\n');
        table_print(notes, "", stdout);
    }
    table_destroy(notes);
    table_destroy(table);
}
