/* SPDX-License-Identifier: Apache-2.0 */
// sluicectl's tables, numbers, rates and the sum rule.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/ctl/counters.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

static void assert_prints(const struct table *table, const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    table_print(table, "no rows", stream);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static void table_aligns(void **state)
{
    struct table *table = table_create(">PORT NAME >DROPS");

    (void)state;
    table_add(table, "%d", 3);
    table_add(table, "a-long-name");
    table_add(table, "7");
    table_add(table, "1023");
    table_add(table, "b");
    table_add(table, "1234567");
    assert_int_equal(table_rows(table), 2);
    assert_prints(table, "PORT  NAME           DROPS\n"
                         "   3  a-long-name        7\n"
                         "1023  b            1234567\n");
    table_destroy(table);
}

static void table_without_rows_says_so(void **state)
{
    struct table *table = table_create("A B");

    (void)state;
    assert_prints(table, "no rows\n");
    table_destroy(table);
}

static void table_cells_are_blank_only_on_purpose(void **state)
{
    struct table *table = table_create("A B C");

    (void)state;
    table_add(table, "%s", "");
    table_add(table, "x");
    table_add(table, "%s", "");
    table_add(table, " ");
    table_add(table, "y");
    table_add(table, " ");
    assert_prints(table, "A  B  C\n-  x  -\n   y\n");
    table_destroy(table);
}

static void answers_become_printable(void **state)
{
    struct json *answer =
        json_from_string("{\"a\": [\"\\u001b[2Jx\\n\"], \"b\": {\"c\": \"\\u00e4~\"}}");
    char *text;

    (void)state;
    value_make_printable(answer);
    text = json_to_string(answer, JSSF_SORT);
    assert_string_equal(text, "{\"a\":[\"?[2Jx?\"],\"b\":{\"c\":\"??~\"}}");
    free(text);
    json_destroy(answer);
}

static void table_breaks_its_last_column(void **state)
{
    struct table *table = table_create(">N TEXT");
    char text[3 * TABLE_WIDTH] = "";
    char expected[5 * TABLE_WIDTH];

    (void)state;
    // 19 words of 5 with a space after each but the last fill 113 columns; from column 3, 16 fit.
    for (int i = 0; i < 19; i++)
        strcat(text, i ? " abcde" : "abcde");
    table_add(table, "1");
    table_add(table, "%s", text);
    snprintf(expected, sizeof expected, "N  TEXT\n1  %.95s\n   abcde abcde abcde\n", text);
    assert_prints(table, expected);
    table_destroy(table);

    // What has no spaces is never cut: an address must stay whole.
    table = table_create("TEXT");
    memset(text, 'x', 120);
    text[120] = '\0';
    table_add(table, "%s", text);
    snprintf(expected, sizeof expected, "TEXT\n%s\n", text);
    assert_prints(table, expected);
    table_destroy(table);
}

static void counts_are_exact_then_scaled(void **state)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {9999999, "9999999"},
        {10000000, "10.00M"},
        {99994999, "99.99M"},
        {99995000, "100.0M"},
        {999949999, "999.9M"},
        {999950000, "1.000G"},
        {1234567890, "1.235G"},
        {9999500000, "10.00G"},
        {UINT64_MAX, "18.45E"},
    };
    char text[VALUE_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(value_format_count(cases[i].number, text), cases[i].text);
}

static void shares_and_times(void **state)
{
    char text[VALUE_TEXT];

    (void)state;
    assert_string_equal(value_format_share(1, 8, text), "12.5%");
    assert_string_equal(value_format_share(0, 64, text), "0.0%");
    assert_string_equal(value_format_share(0, 0, text), "-");
    assert_string_equal(value_format_seconds(59, text), "00:00:59");
    assert_string_equal(value_format_seconds(86400 + 3600 + 61, text), "1d 01:01:01");
}

static void members_of_other_types_read_as_empty(void **state)
{
    struct json *object = json_from_string("{\"a\": [1], \"b\": -1, \"c\": null, \"d\": {}}");

    (void)state;
    assert_string_equal(value_string(object, "a"), "-");
    assert_string_equal(value_string(object, "none"), "-");
    assert_string_equal(value_string(value_member(object, "none"), "x"), "-");
    assert_int_equal(value_number(object, "a"), 0);
    assert_int_equal(value_number(object, "b"), 0);
    assert_false(value_bool(object, "d"));
    assert_true(value_is_set(object, "d"));
    assert_false(value_is_set(object, "c"));
    assert_int_equal(value_size(value_member(object, "a")), 1);
    assert_int_equal(value_size(value_member(object, "d")), 0);
    json_destroy(object);
}

// Compares the rates between two texts with a third.
static void assert_rates(const char *before, const char *now, uint64_t elapsed_us,
                         const char *expected)
{
    struct json *a = json_from_string(before), *b = json_from_string(now);
    struct json *rates = counter_rates(a, b, elapsed_us);
    char *text = json_to_string(rates, JSSF_SORT);

    assert_string_equal(text, expected);
    free(text);
    json_destroy(rates);
    json_destroy(a);
    json_destroy(b);
}

static void rates_are_per_second(void **state)
{
    (void)state;
    assert_rates("{\"rx\":1000}", "{\"rx\":1500}", 500000, "{\"rx\":1000}");
    assert_rates("{\"rx\":1000}", "{\"rx\":1001}", 2000000, "{\"rx\":1}"); // 0.5, rounded
    assert_rates("{\"rx\":1000}", "{\"rx\":1000}", 1000000, "{\"rx\":0}");
    assert_rates("{\"rx\":1000}", "{\"rx\":1000}", 0, "{\"rx\":null}");
}

static void a_counter_that_went_back_has_no_rate(void **state)
{
    (void)state;
    assert_rates("{\"rx\":1000,\"tx\":1}", "{\"rx\":999,\"tx\":2}", 1000000,
                 "{\"rx\":null,\"tx\":1}");
}

static void ports_are_found_by_number(void **state)
{
    (void)state;
    assert_rates("{\"ports\":[{\"port\":3,\"rx\":10},{\"port\":4,\"rx\":100}]}",
                 "{\"ports\":[{\"name\":\"x\",\"port\":4,\"rx\":107},{\"port\":9,\"rx\":5}]}",
                 1000000,
                 "{\"ports\":[{\"name\":\"x\",\"port\":4,\"rx\":7},{\"port\":9,\"rx\":5}]}");
}

static void new_drop_reasons_begin_at_zero(void **state)
{
    (void)state;
    assert_rates("{\"drops\":{}}", "{\"drops\":{\"runt\":4}}", 2000000, "{\"drops\":{\"runt\":2}}");
}

static void sum_rule(void **state)
{
    struct json *totals = json_from_string("{\"rx\":100,\"originated\":7,\"tx\":90,\"in_flight\":2,"
                                           "\"drops\":{\"runt\":10,\"vlan\":5}}");
    struct counter_sum sum;

    (void)state;
    counter_sum(totals, &sum);
    assert_int_equal(sum.dropped, 15);
    assert_true(sum.missing == 0);
    json_object_put(totals, "rx", json_integer_create(99));
    counter_sum(totals, &sum);
    assert_true(sum.missing == -1);
    json_object_put(totals, "rx", json_integer_create(103));
    counter_sum(totals, &sum);
    assert_true(sum.missing == 3);
    json_destroy(totals);
}

static void drop_texts(void **state)
{
    (void)state;
    assert_string_equal(counter_drop_text("runt"), "frame shorter than an Ethernet header");
    assert_null(counter_drop_text("of a later version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_aligns),
        cmocka_unit_test(table_without_rows_says_so),
        cmocka_unit_test(table_cells_are_blank_only_on_purpose),
        cmocka_unit_test(table_breaks_its_last_column),
        cmocka_unit_test(answers_become_printable),
        cmocka_unit_test(counts_are_exact_then_scaled),
        cmocka_unit_test(shares_and_times),
        cmocka_unit_test(members_of_other_types_read_as_empty),
        cmocka_unit_test(rates_are_per_second),
        cmocka_unit_test(a_counter_that_went_back_has_no_rate),
        cmocka_unit_test(ports_are_found_by_number),
        cmocka_unit_test(new_drop_reasons_begin_at_zero),
        cmocka_unit_test(sum_rule),
        cmocka_unit_test(drop_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
