/* SPDX-License-Identifier: Apache-2.0 */
// Random additions and deletions against a plain array: the table holds exactly what was put into
// it. The keys are few, so that runs of slots grow together and fall apart again.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <rte_malloc.h>

#include "dataplane/exact4.h"
#include "tests/unit/node.h"

#define KEYS  3000
#define STEPS 300000

static rte_be32_t key_of(unsigned i)
{
    return rte_cpu_to_be_32(0x0a010000 + i);
}

static void check_key(struct exact4 *table, unsigned i, unsigned expected)
{
    const struct fwd_entry *entry = exact4_find(table, key_of(i));

    if (!expected)
        assert_null(entry);
    else {
        assert_non_null(entry);
        assert_int_equal(entry->slot, expected);
    }
}

static void holds_what_was_put_in(void **state)
{
    const char *seed_text = getenv("SLUICE_SEED");
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)time(NULL);
    struct exact4 *table = exact4_new(0);
    static unsigned model[KEYS];
    unsigned n = 0;

    (void)state;
    print_message("# seed %u\n", seed);
    srand(seed);
    assert_non_null(table);
    for (unsigned step = 1; step <= STEPS; step++) {
        // The number of keys swings between few and most of them.
        unsigned i = (unsigned)rand() % KEYS;
        bool fill = (step / 20000) % 2 == 0;

        if (!model[i] && (fill || rand() % 4 == 0)) {
            struct fwd_entry entry = {.slot = step};

            assert_int_equal(exact4_add(&table, key_of(i), &entry), 0);
            model[i] = step;
            n++;
        } else if (model[i] && (!fill || rand() % 4 == 0)) {
            assert_true(exact4_del(table, key_of(i)));
            model[i] = 0;
            n--;
        }
        assert_int_equal(table->n, n);
        check_key(table, i, model[i]);
        if (step % 10000 == 0)
            for (unsigned j = 0; j < KEYS; j++)
                check_key(table, j, model[j]);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(exact4_del(table, key_of(i)), model[i] != 0);
    // Nothing is left of it, not even marks of deletion, where runs could end.
    assert_int_equal(table->n, 0);
    assert_false(exact4_del(table, key_of(0)));
    rte_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_put_in),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
